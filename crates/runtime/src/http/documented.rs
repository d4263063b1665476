//! The problems of an endpoint, as its OpenAPI description lists them: made of the problems themselves, so that neither can
//! say what the other does not.

use std::collections::BTreeMap;

use http::{HeaderName, StatusCode, header};
use serde_json::Value;
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder,
    example::ExampleBuilder,
    schema::{Schema, Type},
};

use super::{Problem, extract, refusal};
use crate::database::Failure;

/// The responses of an endpoint, by status.
pub type Responses = BTreeMap<String, RefOr<Response>>;

/// What an endpoint's description says of its problems: an implementation of `utoipa::IntoResponses` hands it on.
///
/// One response for each status, and in it an example for each type.
#[derive(Debug)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Those of every request, whatever it is for: a malformed head, too much to do, too late, a fault of ours.
    pub fn of_every_request() -> Self {
        let internal =
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side");
        let late = Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "The answer took too long");
        Self(vec![
            Problem::bad_request("The query contains a NUL character."),
            refusal::uri_too_long(),
            refusal::head_too_large(),
            internal,
            Problem::unavailable("Too many requests at once.", 1),
            late,
        ])
    }

    /// Those of a request with a JSON body (see [`super::Json`]) or a form.
    #[must_use]
    pub fn with_body(self) -> Self {
        self.with(extract::too_slow())
            .with(extract::too_large())
            .with(extract::unsupported("application/json"))
            .with(extract::encoded())
            .with(Problem::invalid("", "missing field `name`"))
    }

    /// Those of a request that may carry an access token, or must.
    #[must_use]
    pub fn with_access_token(self) -> Self {
        self.with(Problem::unauthorized("The token has expired."))
    }

    /// Those of a request that needs the database.
    #[must_use]
    pub fn with_database(self) -> Self {
        [Failure::Away, Failure::Overloaded, Failure::Contention, Failure::Full]
            .into_iter()
            .filter_map(Problem::of_database)
            .fold(self, Self::with)
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, problem: impl Into<Problem>) -> Self {
        self.0.push(problem.into());
        self
    }

    /// The responses, by status.
    pub fn responses(self) -> Responses {
        let mut by_status: BTreeMap<String, Vec<Problem>> = BTreeMap::new();
        for problem in self.0 {
            by_status.entry(problem.status().as_u16().to_string()).or_default().push(problem);
        }
        by_status.into_iter().map(|(status, problems)| (status, response(&problems).into())).collect()
    }
}

fn response(problems: &[Problem]) -> Response {
    let mut description: Vec<String> = Vec::new();
    for problem in problems {
        let line = format!("`{}`: {}", problem.slug(), problem.title());
        if !description.contains(&line) {
            description.push(line);
        }
    }
    let schema: RefOr<Schema> = Ref::from_schema_name("Problem").into();
    let mut response = ResponseBuilder::new().description(description.join("; "));
    // A header that only some of the types of a status have is not promised for all of them.
    let shared = problems[0]
        .headers()
        .filter(|name| problems.iter().all(|problem| problem.headers().any(|header| header == *name)));
    for name in shared {
        response = response.header(name.as_str(), header_of(name).build());
    }
    let examples = problems.iter().map(|problem| {
        let example = ExampleBuilder::new().value(Some(problem.example())).build();
        (problem.slug(), example)
    });
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    response.content("application/problem+json", content).build()
}

fn header_of(name: &HeaderName) -> HeaderBuilder {
    let (kind, description) = match *name {
        header::RETRY_AFTER => (Type::Integer, "After how many seconds to try again"),
        header::WWW_AUTHENTICATE => (Type::String, "The challenge, `Bearer`"),
        _ => (Type::String, "See RFC 9110"),
    };
    HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind))).description(Some(description))
}

impl Problem {
    /// The body, as an example: of no request, so without a trace.
    fn example(&self) -> Value {
        serde_json::to_value(self.body()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_of_a_status_are_one_response_with_an_example_each() {
        let busy = || Problem::unavailable("Too many requests at once.", 1);
        let away = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "away", "It is away");
        let described = |problems: Vec<Problem>| {
            let responses = Problems(problems).responses();
            serde_json::to_value(responses).unwrap()
        };
        let one = described(vec![busy()]);
        assert_eq!(one["503"]["description"], "`unavailable`: Please try again in a moment");
        assert_eq!(one["503"]["headers"]["retry-after"]["schema"]["type"], "integer");
        let body = &one["503"]["content"]["application/problem+json"];
        assert_eq!(body["schema"]["$ref"], "#/components/schemas/Problem");
        let example = &body["examples"]["unavailable"]["value"];
        assert_eq!(example["type"], "https://shop.dev/problems/unavailable");
        assert_eq!(example["detail"], "Too many requests at once.");
        let both = described(vec![busy(), away]);
        let examples = both["503"]["content"]["application/problem+json"]["examples"].as_object().unwrap();
        assert_eq!(examples.keys().collect::<Vec<_>>(), ["away", "unavailable"]);
        assert!(both["503"]["headers"].is_null(), "not all have it: {both}");
    }
}
