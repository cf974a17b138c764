"""HTML pages: style sheets, what they show, what is hidden, and the page as Markdown."""
