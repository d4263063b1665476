"""Holds manifests against Kubernetes' own JSON schemas, and OutboxPublishers against their definition.

Run by `cargo xtask chart` in an environment that has kubernetes-validate:

    validate.py 1.30,1.37 the-definition.yaml manifests.yaml…
"""

import sys

import jsonschema
import kubernetes_validate
import yaml

# Defined by other projects, whose schemas are not available here.
UNKNOWN = {"monitoring.coreos.com", "gateway.networking.k8s.io", "keda.sh"}


def closed(schema):
    """The API server drops unknown fields; here they are errors, because nobody writes one on purpose."""
    if isinstance(schema, dict):
        schema = {key: closed(value) for key, value in schema.items()}
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return schema


def main():
    versions, definition, files = sys.argv[1].split(","), sys.argv[2], sys.argv[3:]
    with open(definition) as file:
        definition = yaml.safe_load(file)
    group = definition["spec"]["group"]
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec = jsonschema.Draft202012Validator(closed(spec))
    wrong = 0
    for name in files:
        with open(name) as file:
            objects = [each for each in yaml.safe_load_all(file) if each]
        count, unknown = 0, set()
        for each in objects:
            what = f"{name}: {each['kind']} {each['metadata']['name']}"
            of = each["apiVersion"].split("/")[0]
            if of == group:
                errors = [f"{error.json_path}: {error.message}" for error in spec.iter_errors(each["spec"])]
            elif of in UNKNOWN:
                unknown.add(each["kind"])
                continue
            else:
                errors = []
                for version in versions:
                    try:
                        kubernetes_validate.validate(each, version, strict=True)
                    except (kubernetes_validate.ValidationError, jsonschema.ValidationError) as error:
                        errors.append(f"{version}: {error}")
            count += 1
            wrong += len(errors)
            for error in errors:
                print(f"{what}: {error}", file=sys.stderr)
        besides = f"; not looked at: {', '.join(sorted(unknown))}" if unknown else ""
        print(f"{name.rsplit('/', 1)[-1]}: {count} objects{besides}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
