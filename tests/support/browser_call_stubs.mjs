// Runs the page of examples/browser_call without a browser, and prints what happens as JSON:
// two calls follow each other quickly, the microphone is allowed late, then the network path fails.
import fs from "node:fs";
import vm from "node:vm";

const elements = {};
const element = (id) => elements[id] ??= {
  value: "", textContent: "", listeners: {},
  addEventListener(kind, listener) { this.listeners[kind] = listener; },
};
const connections = [], microphones = [], stopped = [];

class Connection {
  tracks = [];
  connectionState = "new";
  constructor() { connections.push(this); }
  addTrack(track) { this.tracks.push(track.number); }
  createDataChannel() { return {}; }
  async createOffer() { return { sdp: "v=0" }; }
  async setLocalDescription() {}
  async setRemoteDescription() {}
  getSenders() { return []; }
  close() {}
}

const microphone = (number) => ({
  getTracks: () => [{ number, stop() { stopped.push(number); } }],
});
const page = vm.createContext({
  document: { getElementById: element, createElement: () => ({}) },
  location: { origin: "http://page" },
  RTCPeerConnection: Connection,
  URL,
  navigator: { mediaDevices: { getUserMedia: () => new Promise((done) => microphones.push(done)) } },
  fetch: async () => ({ ok: true, status: 201, text: async () => "v=0" }),
});
vm.runInContext(fs.readFileSync(process.argv[2], "utf8"), page);
element("server").value = "http://127.0.0.1:8750";
const call = () => elements.form.listeners.submit({ preventDefault() {} });
const calls = [call(), call()];
await null;
microphones.forEach((done, number) => done(microphone(number)));
await Promise.all(calls);
connections[1].connectionState = "failed";
connections[1].onconnectionstatechange?.();
const tracks = connections.map((each) => each.tracks);
console.log(JSON.stringify({ tracks, stopped, status: elements.status.textContent }));
