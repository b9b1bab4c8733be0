"""Certifiers: each proves one statement on one exact instance, or says that it could not.

Table: `verify.certify.table`.
"""
