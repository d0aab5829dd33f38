"""The app for WSGI servers (`gunicorn app:app`) and for the command `flask`. `python app.py` starts the server."""

from phonify import create_app
from phonify.server import serve

if __name__ == "__main__":
    serve(create_app)
else:
    app = create_app()
