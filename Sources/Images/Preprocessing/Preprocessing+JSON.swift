package import Files
import Tensors

extension Preprocessing {
    /// Reads the settings of a `preprocessor_config.json`.
    ///
    /// A missing or null key has the default of transformers for the named `image_processor_type` (or
    /// `feature_extractor_type`). The first ViT checkpoints name none: without a name the defaults are ViT's, but the
    /// size and the normalisation must be specified.
    ///
    /// - Parameters:
    ///   - json: the whole value.
    ///   - path: the path of the file, for errors.
    ///   - resize: the library whose resize is reproduced, which the file does not say.
    /// - Throws: `ImageError` of kind `settings` naming the key: for an unknown processor or key, a value of the wrong
    ///   type or out of range, and contradictory settings. No setting that would change a pixel is ignored.
    package init(json: JSON, path: String, resize: ResizeBackend = .pillow) throws(ImageError) {
        guard let object = json.objectValue else {
            throw ImageError(kind: .settings, reason: "expected an object, found \(json.kind)", path: path)
        }
        if let timm = object[Preprocessing.timmKey], timm != .null {
            try self.init(timm: timm, path: path)
            self.resize = resize
            guard resize.supports(filter) else {
                throw ImageError(
                    kind: .settings, reason: "interpolation: \(resize) has no filter \(filter)", path: path)
            }
            return
        }
        let settings = Settings(object: object, path: path)
        try settings.refuseUnknownKeys()
        let namedProcessor = try settings.processor()
        let processor = namedProcessor ?? .vit
        self = processor.defaults
        self.resize = resize
        func require(_ key: String, for flag: String) throws(ImageError) {
            if namedProcessor == nil, object[key] ?? .null == .null {
                throw settings.failure("no \(key), which \(flag) needs, nor an image_processor_type to take it from")
            }
        }

        if try settings.flag("do_resize") ?? true {
            try require("size", for: "do_resize")
            target = try settings.target(processor) ?? target
            if processor == .convNext { try settings.applyCropShare(to: &self) }
            filter = try settings.filter() ?? filter
            guard resize.supports(filter) else {
                throw settings.failure("resample: \(resize) has no filter \(filter.rawValue) (\(filter))")
            }
        } else {
            target = nil
        }
        if try settings.flag("do_center_crop") ?? (crop != nil) {
            guard let size = try settings.size("crop_size", isSquare: true) ?? crop.map(Target.exact) else {
                throw settings.failure("do_center_crop is true, but there is no crop_size")
            }
            guard case .exact(let cropSize) = size else {
                throw settings.failure("crop_size: expected height and width, found shortest_edge")
            }
            crop = cropSize
        } else {
            crop = nil
        }
        if try settings.flag("do_rescale") ?? true {
            rescaleFactor = try settings.factor() ?? rescaleFactor
        } else {
            rescaleFactor = nil
        }
        if resizesInFloats, target != nil, filter != .bilinear || rescaleFactor == nil {
            throw settings.failure(
                "resample, do_rescale: expected 2 and true, as other resizes in floats are not supported")
        }
        if try settings.flag("do_normalize") ?? true {
            try require("image_mean", for: "do_normalize")
            try require("image_std", for: "do_normalize")
            if let mean = try settings.channels("image_mean") { normalization?.mean = mean }
            if let deviation = try settings.channels("image_std") { normalization?.deviation = deviation }
            guard normalization?.deviation.allSatisfy({ $0 > 0 }) ?? true else {
                throw settings.failure("image_std: expected positive numbers")
            }
        } else {
            normalization = nil
        }
        try settings.checkImageSize(outputSize)
        guard PixelValueTable(self).values.allSatisfy(\.isFinite) else {
            throw settings.failure("rescale_factor, image_mean and image_std give values beyond 32-bit floats")
        }
    }
}

/// The members of the file, with errors that name them.
private struct Settings {
    let object: JSONObject
    let path: String

    func failure(_ reason: String) -> ImageError { ImageError(kind: .settings, reason: reason, path: path) }

    /// A member; nil when it is missing or null, which transformers treats alike.
    private func value(_ key: String) -> JSON? { object[key].flatMap { $0 == .null ? nil : $0 } }

    /// Keys that `init(json:path:)` reads.
    private static let supportedKeys: Set<String> = [
        "image_processor_type", "feature_extractor_type", "do_resize", "size", "default_to_square", "resample",
        "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std",
    ]

    /// Keys that never change a value. `do_convert_rgb` is one, because decoding always gives RGB.
    private static let ignoredKeys: Set<String> = [
        "_valid_processor_keys", "_processor_class", "processor_class", "auto_map", "do_convert_rgb", "device",
        "disable_grouping", "return_tensors", "image_seq_length", "pad_size", "transformers_version",
        "input_data_format", "do_reduce_labels", "reduce_labels",
    ]

    func refuseUnknownKeys() throws(ImageError) {
        for key in object.keys where value(key) != nil {
            if Settings.supportedKeys.contains(key) || Settings.ignoredKeys.contains(key) { continue }
            switch key {
            case "num_channels":
                guard value(key)?.intValue != 3 else { continue }
                throw failure("num_channels: expected 3")
            // Checked by `checkImageSize`.
            case "image_size": continue
            case "antialias":
                guard try flag(key) == false else { continue }
                throw failure("antialias: expected true")
            // Any other step that is off; no supported processor has more steps that are on by default.
            case _ where value(key) == .bool(false): continue
            // Read by `applyCropShare`.
            case "crop_pct":
                guard try processor() != .convNext else { continue }
                throw failure("key \"crop_pct\" is not supported")
            case "do_pad", "use_square_size":
                _ = try flag(key)
                throw failure("\(key) is not supported")
            case "data_format":
                guard value(key)?.stringValue != "channels_first" else { continue }
                throw failure("data_format: expected \"channels_first\"")
            default:
                throw failure("key \"\(key)\" is not supported")
            }
        }
    }

    /// Refuses an `image_size` other than the size of prepared pictures.
    func checkImageSize(_ output: ImageSize?) throws(ImageError) {
        guard let imageSize = try size("image_size", isSquare: true) else { return }
        guard let output, imageSize == .exact(output) else {
            let size = output.map(\.description) ?? "a size that depends on the picture"
            throw failure("image_size: disagrees with size and crop_size, which give \(size)")
        }
    }

    /// The named processor; nil if none is named.
    func processor() throws(ImageError) -> Processor? {
        var result: Processor?
        for key in ["image_processor_type", "feature_extractor_type"] {
            guard let value = value(key) else { continue }
            guard let name = value.stringValue else { throw wrong(key, "a class name", value) }
            guard let processor = Processor(className: name) else {
                let names = Processor.allCases.map { $0.rawValue + "ImageProcessor" }.joined(separator: ", ")
                throw failure("\(key) \"\(name)\" is not supported (supported: \(names))")
            }
            guard result == nil || result == processor else {
                throw failure("image_processor_type and feature_extractor_type contradict each other")
            }
            result = processor
        }
        return result
    }

    private func wrong(_ key: String, _ expected: String, _ value: JSON) -> ImageError {
        failure("\(key): expected \(expected), found \(value.serialized(indented: false).prefix(60))")
    }

    func flag(_ key: String) throws(ImageError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard let flag = value.boolValue else { throw wrong(key, "true or false", value) }
        return flag
    }

    func filter() throws(ImageError) -> ResampleFilter? {
        guard let value = value("resample") else { return nil }
        guard let filter = value.intValue.flatMap(ResampleFilter.init(rawValue:)) else {
            throw wrong("resample", "a filter's number from 0 to 5", value)
        }
        return filter
    }

    func factor() throws(ImageError) -> Double? {
        guard let value = value("rescale_factor") else { return nil }
        guard let factor = value.doubleValue, factor.isFinite, factor > 0 else {
            throw wrong("rescale_factor", "a positive number", value)
        }
        return factor
    }

    func channels(_ key: String) throws(ImageError) -> [Double]? {
        guard let value = value(key) else { return nil }
        let numbers = value.arrayValue?.compactMap(\.doubleValue).filter { $0.isFinite && abs($0) < 1e9 }
        guard let numbers, numbers.count == 3, value.arrayValue?.count == 3 else {
            throw wrong(key, "three numbers", value)
        }
        return numbers
    }

    /// ConvNeXt's resize: below 384 pixels by the shorter side to more than the size, of which the centre is taken;
    /// else both sides to the size.
    func applyCropShare(to preprocessing: inout Preprocessing) throws(ImageError) {
        guard case .shortestEdge(let edge) = preprocessing.target else {
            throw failure("size: expected shortest_edge")
        }
        let share = value("crop_pct").map { $0.doubleValue ?? 0 } ?? 224.0 / 256
        guard share > 0, share <= 1, Double(edge) / share <= Double(Preprocessing.maximumSide) else {
            throw failure(
                "crop_pct: expected a number above 0, at most 1, that gives at most "
                    + "\(Preprocessing.maximumSide) pixels")
        }
        let square = ImageSize(height: edge, width: edge)
        guard edge < 384 else {
            preprocessing.target = .exact(square)
            return
        }
        preprocessing.target = .shortestEdge(Int(Double(edge) / share))
        preprocessing.crop = square
    }

    func target(_ processor: Processor) throws(ImageError) -> Preprocessing.Target? {
        try size("size", isSquare: try flag("default_to_square") ?? processor.isSizeSquare)
    }

    /// A size as a number (a square, or the shorter side), as two equal numbers, or as an object of extents.
    func size(_ key: String, isSquare: Bool) throws(ImageError) -> Preprocessing.Target? {
        guard let value = value(key) else { return nil }
        switch value {
        case .number:
            let extent = try extent(key, value)
            return isSquare ? .exact(ImageSize(height: extent, width: extent)) : .shortestEdge(extent)
        case .array(let extents):
            // Older releases read width and height, newer ones height and width.
            guard extents.count == 2, extents[0] == extents[1] else {
                throw wrong(key, "an object with height and width", value)
            }
            let extent = try extent(key, extents[0])
            return .exact(ImageSize(height: extent, width: extent))
        case .object(let members):
            // Null extents belong to other combinations of keys.
            let extents = members.members.filter { $0.value != .null }
            switch Set(extents.map(\.key)) {
            case ["height", "width"]:
                let height = try extent("\(key).height", members["height"] ?? .null)
                let width = try extent("\(key).width", members["width"] ?? .null)
                return .exact(ImageSize(height: height, width: width))
            case ["shortest_edge"]:
                return .shortestEdge(try extent("\(key).shortest_edge", members["shortest_edge"] ?? .null))
            default:
                let keys = extents.map(\.key).joined(separator: ", ")
                throw failure("\(key): expected height and width, or shortest_edge; found {\(keys)}")
            }
        default:
            throw wrong(key, "a number or an object", value)
        }
    }

    private func extent(_ key: String, _ value: JSON) throws(ImageError) -> Int {
        guard let extent = value.intValue, extent >= 1, extent <= Preprocessing.maximumSide else {
            throw wrong(key, "a whole number from 1 to \(Preprocessing.maximumSide)", value)
        }
        return extent
    }
}

/// The image processors of transformers with the steps of `Preprocessing`, and their defaults.
enum Processor: String, CaseIterable {
    case vit = "ViT"
    case deit = "DeiT"
    case bit = "Bit"
    case clip = "CLIP"
    case siglip = "Siglip"
    case beit = "Beit"
    case convNext = "ConvNext"
    case dinov3 = "DINOv3ViT"

    /// The processor of a class name such as `ViTImageProcessor`, `ViTImageProcessorFast` or `ViTFeatureExtractor`.
    init?(className: String) {
        let suffixes = ["ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor"]
        for processor in Processor.allCases where suffixes.contains(where: { processor.rawValue + $0 == className }) {
            self = processor
            return
        }
        return nil
    }

    /// The settings of an empty configuration, those of transformers 5.23.
    var defaults: Preprocessing {
        let half = Preprocessing.Normalization(mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
        let clip = Preprocessing.Normalization(
            mean: [0.48145466, 0.4578275, 0.40821073], deviation: [0.26862954, 0.26130258, 0.27577711])
        let square = ImageSize(height: 224, width: 224)
        switch self {
        case .vit:
            return Preprocessing(
                target: .exact(square), filter: .bilinear, crop: nil, rescaleFactor: 1 / 255, normalization: half)
        case .deit:
            return Preprocessing(
                target: .exact(ImageSize(height: 256, width: 256)), filter: .bicubic, crop: square,
                rescaleFactor: 1 / 255, normalization: half)
        case .bit, .clip:
            return Preprocessing(
                target: .shortestEdge(224), filter: .bicubic, crop: square, rescaleFactor: 1 / 255,
                normalization: clip)
        case .dinov3:
            var settings = Preprocessing(
                target: .exact(square), filter: .bilinear, crop: nil, rescaleFactor: 1 / 255,
                normalization: Preprocessing.Normalization(
                    mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225]))
            settings.resizesInFloats = true
            return settings
        case .convNext:
            return Preprocessing(
                target: .shortestEdge(384), filter: .bicubic, crop: nil, rescaleFactor: 1 / 255, normalization: half)
        case .siglip, .beit:
            return Preprocessing(
                target: .exact(square), filter: .bicubic, crop: nil, rescaleFactor: 1 / 255, normalization: half)
        }
    }

    /// Whether a `size` that is one number means a square, rather than the shorter side.
    var isSizeSquare: Bool { self == .vit || self == .deit || self == .beit || self == .dinov3 }
}
