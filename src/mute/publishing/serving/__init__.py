"""A local server that shows an unlearned or guarded model to a chat client, as OpenAI's does."""
