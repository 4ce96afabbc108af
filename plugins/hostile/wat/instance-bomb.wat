;; It has a component in which is another one twice, in which is another one twice, and so on: a million instances.
(component
  (component $bomb
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
    (component $c
      (type (resource (rep i32))))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
    (instance (instantiate $c)) (instance (instantiate $c)))
  (instance (instantiate $bomb))
  (component $Compliance
    (core module $Main
      (import "scan" "new" (func $new (param i32) (result i32)))
      (memory (export "memory") 8)
      ;; Bytes 0..256 are what is answered, from 1,024 on is what was passed, from 262,144 on are states.
      (data (i32.const 0) "\00\00\00\00\10\00\00\00\01\00\00\00")  ;; ok, one scope
      (data (i32.const 16) "\18\00\00\00\10\00\00\00hostile/test/any")
      (data (i32.const 64) "\00\00\00\00\00\00\04\00")
      (data (i32.const 128) "\00\00\00\00\90\00\00\00\01\00\00\00")  ;; ok, one finding
      (data (i32.const 144) "\b0\00\00\00\05\00\00\00\02\00\00\00\b5\00\00\00\04\00\00\00")  ;; required
      (data (i32.const 176) "guestwat.")
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "scopes") (result i32) (i32.const 0))
      (func (export "open") (result i32)
        (i32.store (i32.const 48) (i32.const 0))
        (i32.store (i32.const 52) (call $new (i32.const 1)))
        (i32.const 48))
      (func (export "evaluate") (param $self i32) (param $at i32) (param $bytes i32) (result i32)
        (local $end i32) (local $count i32)
        (local.set $end (i32.add (local.get $at) (local.get $bytes)))
        (loop $next
          (if (i32.lt_u (local.get $at) (local.get $end))
            (then
              (i32.store8 (i32.add (i32.const 262144) (local.get $count)) (i32.const 2))
              (local.set $count (i32.add (local.get $count) (i32.const 1)))
              (local.set $at (i32.add (i32.add (local.get $at) (i32.const 2)) (i32.load16_u (local.get $at))))
              (br $next))))
        (i32.store (i32.const 72) (local.get $count))
        (i32.const 64))
      (func (export "explain") (param i32 i32 i32) (result i32) (i32.const 128)))
    (type $scan-type (resource (rep i32)))
    (core func $new (canon resource.new $scan-type))
    (core instance $main (instantiate $Main (with "scan" (instance (export "new" (func $new))))))
    (alias core export $main "memory" (core memory $memory))
    (alias core export $main "realloc" (core func $realloc))

    (type $state-type (enum "not-required" "installed" "required" "unknown"))
    (export $state "compliance-state" (type $state-type))
    (type $error-type (variant (case "not-found" string) (case "denied" string) (case "too-large" string)
      (case "invalid" string) (case "other" string)))
    (export $error "error" (type $error-type))
    (type $finding-type (record (field "subject" string) (field "state" $state) (field "detail" string)))
    (export $finding "finding" (type $finding-type))
    (export $scan "scan" (type $scan-type))

    (func (export "scopes") (result (result (list string) (error $error)))
      (canon lift (core func $main "scopes") (memory $memory)))
    (func (export "[static]scan.open") (result (result (own $scan) (error $error)))
      (canon lift (core func $main "open") (memory $memory)))
    (func (export "[method]scan.evaluate") (param "self" (borrow $scan)) (param "rules" (list u8))
      (result (result (list $state) (error $error)))
      (canon lift (core func $main "evaluate") (memory $memory) (realloc $realloc)))
    (func (export "[method]scan.explain") (param "self" (borrow $scan)) (param "rule" (list u8))
      (result (result (list $finding) (error $error)))
      (canon lift (core func $main "explain") (memory $memory) (realloc $realloc))))
  (instance $compliance (instantiate $Compliance))
  (export "farrier:policy/compliance@1.0.0" (instance $compliance))
  (@custom "farrier-manifest" "{\22name\22:\22instance-bomb\22,\22version\22:\220.1.0\22,\22description\22:\22Hostile.\22,\22license\22:\22Apache-2.0\22,\22wit\22:\221.0.0\22,\22world\22:\22applicability\22,\22scopes\22:[\22hostile/test/any\22]}"))
