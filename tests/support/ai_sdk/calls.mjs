// Speech and transcription of the AI SDK against scripted providers: node calls.mjs PLACES
// PLACES is JSON: the address of each provider, the key and a recording.
import { readFileSync } from 'node:fs';
import WS from 'ws';
import { createGateway } from '@ai-sdk/gateway';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createXai } from '@ai-sdk/xai';
import * as ai from 'ai';

globalThis.WebSocket = WS;
const places = JSON.parse(process.argv[2]);
const { key: apiKey } = places;
const speak = ai.generateSpeech ?? ai.experimental_generateSpeech;
const transcribe = ai.transcribe ?? ai.experimental_transcribe;
const made = (create, baseURL) => create({ apiKey, baseURL });
const report = (name, found) => console.log(JSON.stringify({ name, ...found }));

const voices = {
  openai: [made(createOpenAI, `${places.openai}/v1`).speech('gpt-4o-mini-tts'), { instructions: 'Calm.' }],
  xai: [made(createXai, `${places.xai}/v1`).speech(), {}],
  google: [made(createGoogleGenerativeAI, `${places.google}/v1beta`).speech('gemini-3.8-flash-tts'), { outputFormat: undefined }],
  gateway: [made(createGateway, `${places.gateway}/v4/ai`).speechModel('openai/tts-1'), { voice: 'alloy' }],
};
for (const [name, [model, more]] of Object.entries(voices)) {
  const { audio } = await speak({ model, text: 'Hello.', outputFormat: 'wav', ...more });
  report(`speech ${name}`, { bytes: audio.uint8Array.length, media: audio.mediaType });
}

const socket = made(createGateway, `${places.socket}/v4/ai`).speechModel('elevenlabs/eleven-v4');
const words = new ReadableStream({
  start(control) {
    for (const text of ['Hello ', 'there']) control.enqueue({ type: 'text', text });
    control.close();
  },
});
const outputFormat = { type: 'audio/pcm', rate: 24000 };
const { stream } = await socket.doStream({ text: words, outputFormat, voice: 'Ann' });
const kinds = [];
for await (const part of stream) kinds.push(part.type);
report('speech stream gateway', { kinds });

const audio = readFileSync(places.recording);
const recognizers = {
  'openai whisper-1': made(createOpenAI, `${places.transcription}/v1`).transcription('whisper-1'),
  'openai gpt-4o-transcribe': made(createOpenAI, `${places.transcription}/v1`).transcription('gpt-4o-transcribe'),
  gateway: made(createGateway, `${places.transcription}/v4/ai`).transcriptionModel('openai/whisper-1'),
  xai: made(createXai, `${places.transcription}/v1`).transcription(),
};
for (const [name, model] of Object.entries(recognizers)) {
  const found = await transcribe({ model, audio });
  report(`transcription ${name}`, { text: found.text, segments: found.segments.length });
}
process.exit(0);
