"""Draft examples from the documents: passages → questions with quoted answers, of which the doubtful are dropped."""
