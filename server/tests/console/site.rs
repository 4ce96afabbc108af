//! A console to ask, and a browser without JavaScript to ask it with.

use crate::fleet::{self, Size};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use farrier::console::Console;
use farrier::database::{Database, now};
use farrier::keys::SiteKeys;
use farrier::signals::Signals;
use jiff::SignedDuration;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt as _;

const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// A console over a database of its own.
pub struct Site {
    router: Router,
    pub database: Database,
    pub keys: SiteKeys,
    pub signals: Signals,
    stop: Option<watch::Sender<()>>,
    _folder: TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Site {
    pub async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_file(&folder.path().join("site.db")).await.unwrap();
        let keys = SiteKeys::open(database.clone(), folder.path()).unwrap();
        let signals = Signals::default();
        let (stop, stopping) = watch::channel(());
        let router = Console {
            database: database.clone(),
            keys: keys.keys.clone(),
            site_name: "Test <site>".to_owned(),
            signals: signals.clone(),
            synchronize_every: Some(SignedDuration::from_hours(4)),
            stopping,
        }
        .router();
        Self { router, database, keys, signals, stop: Some(stop), _folder: folder }
    }

    pub async fn with_fleet() -> Self {
        let site = Self::empty().await;
        fleet::fill(site.database.pool(), Size::SAMPLE, now()).await.unwrap();
        site
    }

    /// With plugins in every state.
    pub async fn with_plugins() -> Self {
        let site = Self::with_fleet().await;
        fleet::plugins::plant(&site.database, "Canaries", now()).await.unwrap();
        site
    }

    /// With days of deployments behind it, and plugins in every state.
    pub async fn with_deployments() -> Self {
        let site = Self::with_fleet().await;
        fleet::deployments::deploy(&site.database, now()).await.unwrap();
        fleet::plugins::plant(&site.database, "Canaries", now()).await.unwrap();
        site.database.summarize().await.unwrap();
        site
    }

    /// Tells whatever goes on as long as the site runs that it stops.
    pub fn stop(&mut self) {
        self.stop = None;
    }

    /// The head of an answer, and its body as it comes.
    pub async fn stream(&self, path: &str) -> (StatusCode, HeaderMap, Body) {
        let request = Request::get(path).header(HOST, "localhost:8443").body(Body::empty()).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        (parts.status, parts.headers, body)
    }

    /// Sends a form as a browser does from a page of the console.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let body = body.collect::<Vec<_>>().join("&");
        let request = Request::post(path)
            .header(HOST, "localhost:8443")
            .header("sec-fetch-site", "same-origin")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Sends JSON.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost:8443")
            .header("sec-fetch-site", "same-origin")
            .header(CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// The id of the deployment whose name holds this.
    pub async fn deployment(&self, name: &str) -> String {
        let list = self.json("/api/deployments").await;
        let found = list["items"].as_array().unwrap().iter().find(|item| item["name"].as_str().unwrap().contains(name));
        found.unwrap_or_else(|| panic!("there is no deployment {name}"))["id"].as_str().unwrap().to_owned()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, MAX_BODY_BYTES).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).header(HOST, "localhost:8443").body(Body::empty()).unwrap()).await
    }

    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json", "{path}");
        serde_json::from_str(&answer.body).unwrap()
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(Method::POST).uri(path).header(HOST, "localhost:8443");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

/// The addresses on this site that a page leads to.
pub fn links(html: &str) -> BTreeSet<String> {
    html.split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|address| address.starts_with('/'))
        .map(|address| address.split('#').next().unwrap_or(address).replace("&amp;", "&").replace("&#38;", "&"))
        .collect()
}

impl Answer {
    /// Where it leads.
    pub fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.headers[LOCATION].to_str().unwrap()
    }

    /// What a browser would send back of the form with this action.
    pub fn form(&self, action: &str) -> Fields {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        let start = format!("action=\"{action}\"");
        let form = self.body.split(&start).nth(1).unwrap_or_else(|| panic!("no form {action}: {}", self.body));
        Fields::of_html(form.split("</form>").next().unwrap())
    }
}

/// The fields of a form in a page, as they are filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(pub BTreeMap<String, Vec<String>>);

impl Fields {
    fn of_html(form: &str) -> Self {
        let mut fields = Self::default();
        for tag in form.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap()) {
            let is_choice = tag.contains("type=\"checkbox\"") || tag.contains("type=\"radio\"");
            if !is_choice || tag.ends_with(" checked") || tag.contains(" checked ") {
                fields.push(&attribute(tag, "name").unwrap_or_default(), attribute(tag, "value").unwrap_or_default());
            }
        }
        for area in form.split("<textarea").skip(1) {
            let (tag, rest) = area.split_once('>').unwrap();
            fields.push(&attribute(tag, "name").unwrap(), unescaped(rest.split("</textarea>").next().unwrap()));
        }
        for select in form.split("<select").skip(1) {
            let (tag, rest) = select.split_once('>').unwrap();
            let options: Vec<_> = rest.split("</select>").next().unwrap().split("<option").skip(1).collect();
            let chosen = options.iter().find(|option| option.split('>').next().unwrap().contains(" selected"));
            let chosen = chosen.or(options.first()).and_then(|option| attribute(option, "value"));
            fields.push(&attribute(tag, "name").unwrap(), chosen.unwrap_or_default());
        }
        fields
    }

    fn push(&mut self, name: &str, value: String) {
        if !name.is_empty() {
            self.0.entry(name.to_owned()).or_default().push(value);
        }
    }

    /// The same with a field written anew.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), vec![value.to_owned()]);
        self
    }

    /// The same without a field, as when a box is unchecked.
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).and_then(|values| values.first()).map_or("", String::as_str)
    }

    pub fn pairs(&self) -> Vec<(&str, &str)> {
        self.0
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (name.as_str(), value.as_str())))
            .collect()
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
    Some(unescaped(value))
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"").replace("&#39;", "'");
    text.replace("&#38;", "&")
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
