"""Adds a document and asks about it, as scripts for the Onyx API do. Needs only the standard library."""

import json
import os
import urllib.request

SERVER = os.environ.get("LATCHKEY_URL", "http://127.0.0.1:4000")


def post(path, body):
    """Sends a request and returns the open response."""
    request = urllib.request.Request(
        f"{SERVER}/api{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['KEY']}", "Content-Type": "application/json"},
    )
    return urllib.request.urlopen(request)


document = {
    "id": "example-garden",
    "semantic_identifier": "Garden",
    "sections": [{"text": "The tomatoes are watered every second morning.", "link": "https://example.com/garden"}],
    "source": "web",
    "metadata": {},
}
with post("/onyx-api/ingestion", {"document": document}) as response:
    print("already existed:", json.load(response)["already_existed"])

with post("/chat/create-chat-session", {"persona_id": 0, "description": "Onyx example"}) as response:
    session = json.load(response)["chat_session_id"]

# The answer is a stream with one JSON object per line.
message = {"chat_session_id": session, "parent_message_id": -1, "message": "How often are the tomatoes watered?"}
with post("/chat/send-chat-message", message) as stream:
    for line in stream:
        packet = json.loads(line).get("obj", {})
        if packet.get("type") in ("message_start", "message_delta"):
            print(packet.get("content", ""), end="")
print()
