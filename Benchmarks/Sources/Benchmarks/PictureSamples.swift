import CCodecLimits
import Images
import Tensors
import VisionTransformers

/// A picture that the benchmark draws, in a format.
struct PictureSample {
    let size: ImageSize
    let format: String
    let bytes: [UInt8]
    /// The library alone; gives 0 if it can decode the picture.
    private let limit: (UnsafePointer<UInt8>?, Int) -> CInt

    var name: String { "\(size.width) x \(size.height) \(format)" }

    /// 12 megapixels, 640 x 480 and 64 x 64, as JPEG and PNG each, and in the formats whose libraries are there.
    static func all() throws -> [PictureSample] {
        try [(4000, 3000), (640, 480), (64, 64)].flatMap { width, height in
            let size = ImageSize(height: height, width: width)
            let picture = draw(size)
            var samples = [
                PictureSample(
                    size: size, format: "JPEG", bytes: try picture.encodedAsJPEG(quality: 85), limit: mv_jpeg_limit)
            ]
            for (name, write, limit) in [
                ("PNG", mv_png_write, mv_png_limit), ("WebP", mv_webp_write, mv_webp_limit),
                ("TIFF", mv_tiff_write, mv_tiff_limit), ("GIF", mv_gif_write, mv_gif_limit),
            ] where PictureFormat.all.contains(where: { $0.name == name && $0.isBuiltIn }) {
                samples.append(
                    PictureSample(size: size, format: name, bytes: try encoded(picture, name, write), limit: limit))
            }
            return samples
        }
    }

    /// Decodes by the library alone; false when it cannot.
    func decodeAlone() -> Bool { bytes.withUnsafeBufferPointer { limit($0.baseAddress, $0.count) == 0 } }

    /// Noise of every scale, weaker the finer it is, as in photographs: a spectrum of about 1/f, and a little grain.
    private static func draw(_ size: ImageSize) -> RGBImage {
        var noise = RandomBackbone.Noise(state: 11)
        func sample() -> UInt8 { UInt8(128 + 127 * noise.next()) }
        var sums = [Float](repeating: 128, count: size.width * size.height * 3)
        var (cells, weight) = (4, Float(0.45))
        while cells < min(size.width, size.height) {
            let height = max(1, cells * size.height / size.width)
            let coarse = RGBImage(
                width: cells, height: height, pixels: (0..<cells * height * 3).map { _ in sample() })
            let layer = coarse.resized(to: size, filter: .bicubic)
            layer.pixels.withUnsafeBufferPointer { pixels in
                for index in pixels.indices { sums[index] += weight * (Float(pixels[index]) - 128) }
            }
            (cells, weight) = (cells * 2, weight * 0.6)
        }
        return RGBImage(
            width: size.width, height: size.height,
            pixels: sums.map { UInt8(min(max($0 + 1.5 * noise.next(), 0), 255)) })
    }

    private static func encoded(
        _ picture: RGBImage, _ name: String,
        _ write: (UnsafePointer<UInt8>?, UInt32, UInt32, UnsafeMutablePointer<UInt8>?, Int) -> Int
    ) throws -> [UInt8] {
        let capacity = picture.pixels.count * 2 + 4096
        let data = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            count = picture.pixels.withUnsafeBufferPointer { pixels in
                write(
                    pixels.baseAddress, UInt32(picture.width), UInt32(picture.height), buffer.baseAddress, buffer.count)
            }
        }
        guard !data.isEmpty else { throw ModelError("benchmark", "the picture cannot be written as \(name)") }
        return data
    }
}
