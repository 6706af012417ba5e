"""Regularizers as users write them: ``right`` ones, which no check may refuse, and ``wrong`` ones, each of which must
be refused. Every public class of their files is one of them; none needs an argument.
"""
