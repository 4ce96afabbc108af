use farrier_protocol::state_message::*;
#[test] fn sizes() {
  for kb in [8192usize, 1024,512,384,256,192] {
  eprintln!("stack {kb}");
  std::thread::Builder::new().stack_size(kb*1024).spawn(|| {
   let mut b = Box::new(StateBatch{stream:1, first_serial:1, messages: Default::default()});
   for _ in 0..128 { let _ = b.messages.push(StateMessage::Compliance(Compliance{update: farrier_protocol::UpdateId([7;16]), state: farrier_protocol::ComplianceState::Required})); }
   let bytes = farrier_protocol::encode(&*b).unwrap();
   let t = std::time::Instant::now();
   for _ in 0..100 { let d: Box<StateBatch> = Box::new(farrier_protocol::decode(&bytes).unwrap()); assert_eq!(d.messages.len(), 128); let d: Box<StateBatch> = farrier_protocol::decode(&bytes).unwrap(); assert_eq!(d.messages.len(), 128);}
   eprintln!("{:?}", t.elapsed()/200);
  }).unwrap().join().unwrap(); }
}
