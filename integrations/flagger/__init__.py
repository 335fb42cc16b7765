"""Canaries that Flagger steps through, at gates that the bot opens. Nothing is imported here: the options must load
without a vendor's package.
"""
