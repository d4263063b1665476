//! The browser for tests.

use serde_json::{Value, json};

#[tokio::test]
async fn a_browser_opens_a_page() {
    let Some(browser) = shop_testing::browser().await else { return };
    let client = reqwest::Client::new();
    let call = async |path: &str, body: Value| -> Value {
        let url = format!("{}{path}", browser.webdriver_url);
        let response = client.post(url).json(&body).send().await.unwrap();
        response.json::<Value>().await.unwrap()["value"].take()
    };
    let wanted = json!({ "capabilities": { "alwaysMatch": browser.capabilities("ru", (1280, 800)) } });
    let session = call("/session", wanted).await;
    let id = session["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {session}"));
    call(&format!("/session/{id}/url"), json!({ "url": "data:text/html,<title>shop</title>" })).await;
    let script = json!({ "script": "return [document.title, navigator.language, innerWidth]", "args": [] });
    let page = call(&format!("/session/{id}/execute/sync"), script).await;
    assert_eq!(page, json!(["shop", "ru", 1280]));
}
