"""Looks at a model or at tables without changing them: layer scores, logit lens, bypass."""
