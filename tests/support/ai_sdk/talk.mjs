// The engine behind useRealtime under node: a token of the setup endpoint, the socket of
// `voicechat serve`, a tool through its own address: node talk.mjs SETUP_URL TOOLS_URL QUESTION
import { createOpenAI } from '@ai-sdk/openai';
import { Experimental_AbstractRealtimeSession as RealtimeSession } from 'ai';
import WS from 'ws';

const [setup, tools, question] = process.argv.slice(2);
globalThis.WebSocket = WS;
globalThis.AudioContext = class {
  state = 'running'; currentTime = 0; destination = {}; sampleRate = 24000;
  async resume() {}
  async close() {}
  createBuffer(channels, samples, rate) {
    return { duration: samples / rate, getChannelData: () => new Float32Array(samples), copyToChannel() {} };
  }
  createBufferSource() {
    return { connect() {}, disconnect() {}, stop() {}, addEventListener() {}, start() { setTimeout(() => this.onended?.(), 1); } };
  }
  createGain() { return { connect() {}, gain: { value: 1 } }; }
};

const seen = { tools: [], audio: 0, responses: 0, errors: [] };
class Session extends RealtimeSession {
  setState(name, value) { this.state = { ...this.state, [name]: value }; }
}
const session = new Session({
  model: createOpenAI({ apiKey: 'unused' }).experimental_realtime('voicechat-local'),
  api: { token: setup },
  sessionConfig: { instructions: 'Be brief.', turnDetection: { type: 'disabled' }, inputAudioTranscription: {} },
  onToolCall: async ({ toolCall }) => {
    const body = JSON.stringify(toolCall.args);
    const headers = { 'Content-Type': 'application/json' };
    const answer = await fetch(`${tools}/${toolCall.toolName}`, { method: 'POST', headers, body });
    const result = await answer.json();
    seen.tools.push([toolCall.toolName, answer.status, result]);
    return result;
  },
  onEvent: (event) => {
    if (event.type === 'audio-delta') seen.audio += event.delta.length;
    if (event.type === 'response-done') seen.responses += 1;
  },
  onError: (error) => seen.errors.push(error.message),
});
const until = async (holds) => {
  for (let turn = 0; turn < 600 && !holds() && !seen.errors.length; turn += 1) await new Promise((done) => setTimeout(done, 50));
};
await session.connect();
await until(() => session.state.status === 'connected');
session.sendTextMessage(question);
await until(() => seen.responses >= 2);
console.log(JSON.stringify({ ...seen, status: session.state.status, messages: session.state.messages }));
session.disconnect();
process.exit(0);
