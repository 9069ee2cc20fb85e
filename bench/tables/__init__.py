"""The tables and pictures of the documents, made of bench/results: one module a document's part."""
