import Files

extension Preprocessing {
    /// The key in `config.json` of a timm model under which its settings are.
    package static let timmKey = "pretrained_cfg"
    /// The image processor of transformers for timm's models, which has them under the same key.
    package static let timmProcessor = "TimmWrapperImageProcessor"

    /// Reads the settings of a timm model, `pretrained_cfg`: resize to size / `crop_pct`, by the shorter side or both
    /// (`crop_mode` squash), and a centre crop.
    ///
    /// - Throws: `ImageError` of kind `settings` naming the key.
    init(timm settings: JSON, path: String) throws(ImageError) {
        func failure(_ key: String, _ expected: String) -> ImageError {
            let found = settings.objectValue?[key]?.serialized(indented: false).prefix(60) ?? "none"
            return ImageError(
                kind: .settings, reason: "\(Self.timmKey).\(key): expected \(expected), found \(found)", path: path)
        }
        guard let object = settings.objectValue else {
            throw ImageError(
                kind: .settings, reason: "\(Self.timmKey): expected an object, found \(settings.kind)", path: path)
        }
        func value(_ key: String) -> JSON? { object[key].flatMap { $0 == .null ? nil : $0 } }
        func channels(_ key: String) throws(ImageError) -> [Double] {
            let numbers = value(key)?.arrayValue?.compactMap(\.doubleValue).filter { $0.isFinite && abs($0) < 1e9 }
            guard let numbers, numbers.count == 3 else { throw failure(key, "three numbers") }
            return numbers
        }
        let input = value("input_size")?.arrayValue?.compactMap(\.intValue) ?? []
        guard input.count == 3, input[0] == 3, input[1...].allSatisfy({ (1...Self.maximumSide).contains($0) }) else {
            throw failure("input_size", "3, height and width")
        }
        let size = ImageSize(height: input[1], width: input[2])
        let share = value("crop_pct").map { $0.doubleValue ?? 0 } ?? 0.875
        guard share > 0, share <= 1, Double(max(size.height, size.width)) / share <= Double(Self.maximumSide) else {
            throw failure("crop_pct", "a number above 0, at most 1, that gives at most \(Self.maximumSide) pixels")
        }
        func enlarged(_ extent: Int) -> Int { Int((Double(extent) / share).rounded(.down)) }
        let target: Target
        switch value("crop_mode").map({ $0.stringValue ?? "" }) ?? "center" {
        case "center":
            guard size.height == size.width else { throw failure("input_size", "a square, for crop_mode center") }
            target = .shortestEdge(enlarged(size.height))
        case "squash": target = .exact(ImageSize(height: enlarged(size.height), width: enlarged(size.width)))
        default: throw failure("crop_mode", "center or squash")
        }
        let filters: [String: ResampleFilter] = [
            "nearest": .nearest, "bilinear": .bilinear, "bicubic": .bicubic, "box": .box, "hamming": .hamming,
            "lanczos": .lanczos,
        ]
        let name = value("interpolation").map { $0.stringValue ?? "" } ?? "bicubic"
        guard let filter = filters[name] else { throw failure("interpolation", "the name of a filter") }
        let deviation = try channels("std")
        guard deviation.allSatisfy({ $0 > 0 }) else { throw failure("std", "positive numbers") }
        self.init(
            target: target, filter: filter, crop: size, rescaleFactor: 1 / 255,
            normalization: Normalization(mean: try channels("mean"), deviation: deviation))
        cropRounding = .toEven
    }
}
