// Pictures as RGBA data: of files and of the camera.

const MAX_PIXELS = 100e6;

/** Decode an image file as it is stored: turned upright, without applying colour profiles, as the desk does. */
export async function decode(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
      imageOrientation: "from-image",
    });
  } catch {
    throw new Error(`${file.name || "this"} is no picture that this browser reads, or it is damaged`);
  }
  if (bitmap.width * bitmap.height > MAX_PIXELS)
    throw new Error(`${file.name} has ${bitmap.width} × ${bitmap.height} pixels; at most 100 million can be read here`);
  return read(bitmap, bitmap.width, bitmap.height);
}

/** The present picture of a video. */
export function frame(video) {
  return read(video, video.videoWidth, video.videoHeight);
}

function read(source, width, height) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  context.drawImage(source, 0, 0);
  try {
    return context.getImageData(0, 0, width, height);
  } catch {
    throw new Error(`a picture of ${width} × ${height} pixels is more than this browser can read`);
  }
}

/** Whether the browser changes what pages read from pictures, as some do against tracking. */
export function altersPictures() {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 64, height: 64 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const image = context.createImageData(64, 64);
  image.data.forEach((_, i) => (image.data[i] = i % 4 === 3 ? 255 : (i * 37) % 256));
  context.putImageData(image, 0, 0);
  return context.getImageData(0, 0, 64, 64).data.some((value, i) => value !== image.data[i]);
}

/** Start the camera in a video element; a sentence as error where that cannot be. */
export async function startCamera(video) {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia)
    throw new Error(
      `Browsers give the camera only to pages that come over https or from localhost, and this one comes from ` +
        `${location.protocol}//${location.host}.`,
    );
  try {
    const wanted = { facingMode: "environment", width: { ideal: 640 }, height: { ideal: 480 } };
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  } catch (error) {
    const reasons = {
      NotAllowedError: "The camera was not allowed: the browser's address bar lets you change that.",
      NotFoundError: "No camera was found.",
      NotReadableError: "The camera is used by another program.",
    };
    throw new Error(reasons[error.name] ?? `The camera cannot be started (${error.name}).`);
  }
  await video.play();
}

/** Stop the camera of a video element. */
export function stopCamera(video) {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
}
