"""Pure grading: is an answer right?"""
