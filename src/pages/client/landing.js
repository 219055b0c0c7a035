// Shows the address of this server in the example.
document.getElementById('origin').textContent = location.origin;
