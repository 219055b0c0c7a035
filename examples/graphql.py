"""Creates a limited key with GraphQL, asks a question with it and deletes it. Needs only the standard library."""

import json
import os
import urllib.error
import urllib.request

SERVER = os.environ.get("LATCHKEY_URL", "http://127.0.0.1:4000")


def graphql(key, query, **variables):
    """Sends an operation and returns its data. Raises RuntimeError when the response has errors."""
    request = urllib.request.Request(
        f"{SERVER}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as response:
            result = json.load(response)
    except urllib.error.HTTPError as error:  # a response with another status than 200 has errors, too
        result = json.load(error)
    if result.get("errors"):
        raise RuntimeError("; ".join(f"{e['extensions']['code']}: {e['message']}" for e in result["errors"]))
    return result["data"]


admin = os.environ["KEY"]
created = graphql(
    admin,
    """mutation Create($name: String!) {
      createApiKey(input: { name: $name, role: LIMITED }) { secret apiKey { id } }
    }""",
    name="Python example",
)["createApiKey"]
try:
    answer = graphql(
        created["secret"],
        "mutation Ask($message: String!) { sendChatMessage(input: { message: $message }) { answer } }",
        message="Can a limited key read chat history?",
    )
    print(answer["sendChatMessage"]["answer"])
    try:
        graphql(created["secret"], "{ chatSessions(first: 1) { totalCount } }")
    except RuntimeError as error:
        print(error)
finally:
    graphql(admin, "mutation Delete($id: ID!) { deleteApiKey(input: { id: $id }) { deletedApiKeyId } }", id=created["apiKey"]["id"])
