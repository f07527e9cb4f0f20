"""Numbers and requirements to a verdict, and the verdict to a page. Measures nothing, asks no model."""
