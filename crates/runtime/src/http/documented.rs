//! The problems of an endpoint, as its OpenAPI description lists them. They are made of the same values as the responses, so the
//! description cannot drift.

use std::{collections::BTreeMap, marker::PhantomData};

use http::{HeaderName, header};
use sea_orm::DbErr;
use serde_json::Value;
use utoipa::{
    IntoResponses,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder,
        example::ExampleBuilder,
        schema::{Schema, Type},
    },
};

use super::{Problem, refusal};
use crate::database::Failure;

/// Something that an endpoint uses and that may refuse a request: an extractor, or the type of an error.
pub trait Documented {
    /// A problem of each type that a client may get because of it, made of a real refusal or error.
    fn examples() -> Vec<Problem>;
}

/// The problems of an endpoint, for its description: those of every request, and those of `T`, a tuple of everything that may
/// refuse the request. Of two examples of one type, the later one is shown.
///
/// `responses((status = 200, body = Order), Problems<(DbErr, Caller, NoSuchOrder)>)`
#[derive(Debug)]
pub struct Problems<T>(PhantomData<T>);

impl<T: Documented> IntoResponses for Problems<T> {
    /// One response for each status, with an example for each type. The parts are combined here, because of two responses with one
    /// status utoipa would keep only one.
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(of_every_request().into_iter().chain(T::examples()))
    }
}

/// The problems that any request may get: a malformed head, an overload, a timeout, a fault of ours.
fn of_every_request() -> Vec<Problem> {
    vec![
        Problem::bad_request("The query contains a NUL character."),
        refusal::uri_too_long(),
        refusal::head_too_large(),
        Problem::fault(),
        refusal::too_many_requests(),
        refusal::too_late(),
    ]
}

/// The problems of a request that needs the database.
impl Documented for DbErr {
    fn examples() -> Vec<Problem> {
        let failures = [Failure::Away, Failure::Overloaded, Failure::Contention, Failure::Full];
        failures.into_iter().filter_map(Problem::of_database).collect()
    }
}

/// An optional part is documented like a required one.
impl<T: Documented> Documented for Option<T> {
    fn examples() -> Vec<Problem> {
        T::examples()
    }
}

macro_rules! documented_tuples {
    ($(($($part:ident)*))*) => {$(
        impl<$($part: Documented),*> Documented for ($($part,)*) {
            fn examples() -> Vec<Problem> {
                let parts: &[fn() -> Vec<Problem>] = &[$($part::examples),*];
                parts.iter().flat_map(|examples| examples()).collect()
            }
        }
    )*};
}

documented_tuples! { () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }

fn responses(problems: impl IntoIterator<Item = Problem>) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, Vec<Problem>> = BTreeMap::new();
    for problem in problems {
        by_status.entry(problem.status().as_u16().to_string()).or_default().push(problem);
    }
    by_status.into_iter().map(|(status, problems)| (status, response(&problems).into())).collect()
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
    // Only headers that all types of a status have are promised.
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
    /// The body as an example. It belongs to no request, so it has no trace.
    fn example(&self) -> Value {
        serde_json::to_value(self.body()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn problems_of_a_status_are_one_response_with_an_example_each() {
        let busy = || Problem::unavailable("Too many requests at once.", 1);
        let away = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "away", "It is away");
        let described = |problems: Vec<Problem>| serde_json::to_value(responses(problems)).unwrap();
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

    #[test]
    fn an_endpoint_has_the_problems_of_all_that_may_refuse() {
        struct Closed;
        impl Documented for Closed {
            fn examples() -> Vec<Problem> {
                vec![Problem::unavailable("The shop is closed.", 3600)]
            }
        }
        let responses = Problems::<(DbErr, Option<Closed>)>::responses();
        let statuses: Vec<_> = responses.keys().map(String::as_str).collect();
        assert_eq!(statuses, ["400", "414", "431", "500", "503", "504"]);
        let responses = serde_json::to_value(responses).unwrap();
        let examples = &responses["503"]["content"]["application/problem+json"]["examples"];
        let names: Vec<_> = examples.as_object().unwrap().keys().collect();
        assert_eq!(names, ["busy", "overloaded", "storage-full", "unavailable"]);
        assert_eq!(examples["unavailable"]["value"]["detail"], "The shop is closed.");
    }
}
