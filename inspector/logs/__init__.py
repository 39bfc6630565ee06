"""What others wrote down at the same time: puppetserver.log and HAProxy's log, read as facts. Nothing is
judged here.
"""
