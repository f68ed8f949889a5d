import Compute
import Datasets
import Files
import Glibc
import Images
import Labelling
import Synchronization
import Tensors
import VisionTransformers

/// Decoding and preprocessing alone, beside the formats' libraries by themselves.
enum PictureBenchmark {
    /// Measures and prints; gives the figures as JSON.
    static func run(_ samples: [PictureSample], cores: Int) throws -> JSON {
        print(
            "\npictures           model takes  threads   images/s  CPU ms/image  floor ms  of floor",
            "   decode    resize   patches")
        var lines: [JSON] = []
        for sample in samples {
            // Small pictures go with small models.
            let side = sample.size.width < 224 ? 64 : 224
            let configuration = try BackboneConfiguration(
                JSON(parsing: Array("{\"model_type\": \"vit\", \"image_size\": \(side)}".utf8)), path: "config.json")
            for threads in Set([1, cores]).sorted() {
                let result = try measure(sample, configuration, side: side, threads: threads)
                print(
                    Text.left(sample.name, 19), Text.left("\(side) x \(side)", 13), Text.right("\(threads)", 7),
                    Text.right(result.imagesPerSecond, 1, 11), Text.right(result.milliseconds, 3, 14),
                    Text.right(result.floor, 3, 10), Text.right(result.floor / result.milliseconds, 3, 10),
                    Text.right(result.decode, 3, 10), Text.right(result.resize, 3, 10),
                    Text.right(result.patches, 3, 10), separator: "")
                var line = result.json
                line["picture"] = .string(sample.name)
                line["bytes"] = .number("\(sample.bytes.count)")
                line["model_side"] = .number("\(side)")
                line["threads"] = .number("\(threads)")
                lines.append(.object(line))
            }
        }
        return .array(lines)
    }

    /// Processor milliseconds an image, of each part and of the library alone; medians of three turns.
    private struct Result {
        let imagesPerSecond: Double
        let milliseconds: Double
        let floor: Double
        let decode: Double
        let patches: Double

        /// What decoding and patches do not explain.
        var resize: Double { max(0, milliseconds - decode - patches) }

        var json: JSONObject {
            [
                "images_per_second": .number(imagesPerSecond, decimals: 1),
                "processor_milliseconds_per_image": .number(milliseconds, decimals: 4),
                "library_alone_milliseconds": .number(floor, decimals: 4),
                "ratio_to_library_alone": .number(floor / milliseconds, decimals: 3),
                "decode_milliseconds": .number(decode, decimals: 4),
                "resize_milliseconds": .number(resize, decimals: 4),
                "patches_milliseconds": .number(patches, decimals: 4),
            ]
        }
    }

    private static func measure(
        _ sample: PictureSample, _ configuration: BackboneConfiguration, side: Int, threads: Int
    ) throws -> Result {
        let size = ImageSize(height: side, width: side)
        let normalization = Preprocessing.Normalization(mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
        let settings = Preprocessing(
            target: .exact(size), filter: .bilinear, crop: nil, rescaleFactor: 1.0 / 255, normalization: normalization)
        // Decodes all rows and keeps next to nothing of them.
        let decoding = Preprocessing(
            target: nil, filter: .bilinear, crop: ImageSize(height: 1, width: 1), rescaleFactor: nil, normalization: nil
        )
        let preparer = PatchPreparer(settings, configuration: configuration, decoding: DecodingOptions())
        let pool = try WorkerPool(workers: threads)
        let outputs = (0..<threads).map { _ in FloatBuffer(count: preparer.valuesPerImage) }
        func decode() -> Bool {
            sample.bytes.withUnsafeBytes { (try? decoding.prepared(decoding: $0, options: DecodingOptions())) != nil }
        }
        let prepared = try sample.bytes.withUnsafeBytes { try preparer.picture($0) }
        var turns: [[(rate: Double, processor: Double)]] = []
        for _ in 0..<3 {
            turns.append([
                try rate(pool, threads) { _ in sample.decodeAlone() },
                try rate(pool, threads) { prepare(sample, preparer, outputs[$0]) },
                try rate(pool, threads) { _ in decode() },
                try rate(pool, threads) { thread in
                    preparer.writePatches(of: prepared, into: outputs[thread].elements)
                    return true
                },
            ])
        }
        func milliseconds(_ part: Int) -> Double { median(turns.map { $0[part].processor }) * 1e3 }
        return Result(
            imagesPerSecond: median(turns.map { $0[1].rate }), milliseconds: milliseconds(1), floor: milliseconds(0),
            decode: milliseconds(2), patches: milliseconds(3))
    }

    /// Images that are prepared in a second, as `label` prepares them, with nothing else to do.
    static func preparedRate(_ sample: PictureSample, _ preparer: PatchPreparer, threads: Int) throws -> Double {
        let pool = try WorkerPool(workers: threads)
        let outputs = (0..<threads).map { _ in FloatBuffer(count: preparer.valuesPerImage) }
        return try median((0..<3).map { _ in try rate(pool, threads) { prepare(sample, preparer, outputs[$0]) }.rate })
    }

    private static func prepare(_ sample: PictureSample, _ preparer: PatchPreparer, _ output: FloatBuffer) -> Bool {
        sample.bytes.withUnsafeBytes { (try? preparer.prepare($0, into: output.elements)) != nil }
    }

    /// Images a second on the clock of the wall, and processor seconds an image.
    private static func rate(
        _ pool: WorkerPool, _ threads: Int, _ body: (_ thread: Int) -> Bool
    ) throws -> (rate: Double, processor: Double) {
        let (start, processor) = (seconds(), seconds(CLOCK_PROCESS_CPUTIME_ID))
        let counts = Mutex((images: 0, failures: 0))
        pool.forEach(threads) { _, thread in
            var (images, failures) = (0, 0)
            repeat {
                images += 1
                if !body(thread) { failures += 1 }
            } while seconds() - start < 0.1
            counts.withLock { $0 = ($0.images + images, $0.failures + failures) }
        }
        let (done, failures) = counts.withLock(\.self)
        guard failures == 0 else { throw ModelError("benchmark", "a picture cannot be decoded") }
        let images = Double(done)
        return (images / (seconds() - start), (seconds(CLOCK_PROCESS_CPUTIME_ID) - processor) / images)
    }
}
