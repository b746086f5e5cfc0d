// A call with `voicechat serve`, as OpenAI's guide "Realtime API with WebRTC" makes one.
// Serve this folder:  python -m http.server 8000

const element = (id) => document.getElementById(id);
element("origin").textContent = location.origin;

const TOOLS = [{
  type: "function",
  name: "get_weather",
  description: "Get the weather of a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string", description: "Name of the city" } },
    required: ["city"],
  },
}];
const FUNCTIONS = {
  get_weather: ({ city }) => ({ city, weather: "sunny", degrees: 21 }), // An example, not a forecast.
};

let call = null;

element("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  hangUp();
  const current = call = new RTCPeerConnection();
  try {
    await start(current, ...destination());
  } catch (error) {
    if (call === current) hangUp(`The call failed: ${error.message}`);
  }
});
element("hang-up").addEventListener("click", () => hangUp());

function destination() {
  const text = element("server").value.trim();
  const { url, token } = text.startsWith("{") ? JSON.parse(text) : { url: text };
  const address = new URL(url.replace(/^ws/, "http"));
  if (!address.pathname.endsWith("/realtime")) address.pathname = "/v1/realtime";
  return [`${address.origin}${address.pathname}/calls`, token || element("token").value.trim()];
}

async function start(current, url, token) {
  show("Connecting…");
  element("hang-up").disabled = false;
  current.onconnectionstatechange = () => {
    if (call === current && current.connectionState === "failed") {
      hangUp("The call failed: there is no network path to the server.");
    }
  };

  const audio = document.createElement("audio");
  audio.autoplay = true;
  current.ontrack = (event) => { audio.srcObject = event.streams[0]; };

  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  if (call !== current) { // You hung up, or called again, before you allowed the microphone.
    microphone.getTracks().forEach((track) => track.stop());
    return;
  }
  current.addTrack(microphone.getTracks()[0], microphone);

  const events = current.createDataChannel("oai-events");
  events.onmessage = (message) => handle(JSON.parse(message.data), events);
  events.onclose = () => {
    if (call === current) hangUp("The server ended the call.");
  };

  const offer = await current.createOffer();
  await current.setLocalDescription(offer);
  const answer = await fetch(url, {
    method: "POST",
    body: offer.sdp,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/sdp" },
  }).catch(() => {
    throw new Error("the server does not answer, or does not accept this page. See --origin.");
  });
  const text = await answer.text();
  if (call !== current) return;
  if (!answer.ok) throw new Error(reason(text) ?? `the server answers with status ${answer.status}.`);
  await current.setRemoteDescription({ type: "answer", sdp: text });
}

function reason(text) {
  try {
    return JSON.parse(text).error.message;
  } catch {
    return null;
  }
}

function hangUp(words = "Not connected.") {
  for (const sender of call?.getSenders() ?? []) sender.track?.stop();
  call?.close();
  call = null;
  element("hang-up").disabled = true;
  show(words);
}

function handle(event, events) {
  document.dispatchEvent(new CustomEvent("realtime", { detail: event }));
  const send = (type, fields = {}) => events.send(JSON.stringify({ type, ...fields }));
  switch (event.type) {
    case "session.created":
      send("session.update", { session: { type: "realtime", tools: TOOLS } });
      show("Connected. Say something.");
      break;
    case "conversation.item.input_audio_transcription.completed":
      line(`You: ${event.transcript || "(no words)"}`);
      break;
    case "response.output_audio_transcript.done":
      line(`Assistant: ${event.transcript}`, event.item_id);
      break;
    case "output_audio_buffer.started":
      show("The assistant speaks.");
      break;
    case "output_audio_buffer.stopped":
    case "output_audio_buffer.cleared":
      show("Listening.");
      break;
    case "conversation.item.truncated":
      cut(event.item_id);
      break;
    case "response.done":
      answerCalls(event.response.output, send);
      break;
    case "error":
      show(`Error: ${event.error.message}`);
  }
}

function answerCalls(output, send) {
  const calls = output.filter((item) => item.type === "function_call");
  for (const { call_id, name, arguments: given } of calls) {
    const result = FUNCTIONS[name]?.(JSON.parse(given)) ?? { error: "There is no such tool." };
    line(`Tool ${name}: ${JSON.stringify(result)}`);
    const item = { type: "function_call_output", call_id, output: JSON.stringify(result) };
    send("conversation.item.create", { item });
  }
  if (calls.length) send("response.create");
}

function show(words) {
  element("status").textContent = words;
}

function line(words, id = "") {
  const row = document.createElement("li");
  row.textContent = words;
  row.dataset.item = id;
  element("transcript").append(row);
}

function cut(id) {
  const row = element("transcript").querySelector(`[data-item="${CSS.escape(id)}"]`);
  if (row && !row.classList.contains("cut")) {
    row.classList.add("cut");
    row.append(" (interrupted)");
  }
}
