import CFuzz
import Glibc

/// Fuzzes one reader of files, or the codec of a format of pictures: `Fuzz TARGET [libFuzzer's options]`.
@main
enum Fuzz {
    private static let targets: [String: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt] = [
        "exif": { fuzzOrientation($0, $1) },
        "json": { fuzzJSON($0, $1) },
        "safetensors": { fuzzSafetensors($0, $1) },
        "zip": { fuzzZip($0, $1) },
        "pickle": { fuzzPickle($0, $1) },
        "csv": { fuzzCSV($0, $1) },
        "labels": { fuzzLabels($0, $1) },
        "tar": { fuzzTar($0, $1) },
    ]

    static func main() {
        let name = CommandLine.arguments.dropFirst().first ?? ""
        guard let target = targets[name] ?? (mv_fuzz_choose_codec(name) == 0 ? nil : mv_fuzz_picture) else {
            print("usage: Fuzz FORMAT|\(targets.keys.sorted().joined(separator: "|")) [OPTION ...]")
            print("FORMAT: a format of pictures that is built in, such as png")
            exit(2)
        }
        // libFuzzer reads its options after the first argument, and takes that for the program's name.
        exit(mv_fuzz_run(name, target, CommandLine.argc - 1, CommandLine.unsafeArgv + 1))
    }
}
