using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.IO;
using LowRank.IO.Gguf;
using LowRank.Kernels.Native;
using LowRank.Quantization;
using LowRank.Tokenizers;
using LowRank.Tokenizers.Exchange;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Gguf;

/// <summary>Models of GGUF files as folders, by which everything else opens them: config, tokenizer, chat template, and
/// the weights under their Hugging Face names.</summary>
/// <remarks>A folder is made once for a file, in the user's cache, and holds the weights as the file has them: packed
/// weights of linear layers keep their blocks, with the rows in the checkpoint's order. It may be deleted at any
/// time.</remarks>
internal static class GgufFolders
{
    private const string Version = "1"; // of what a folder holds

    private static readonly string[] Factors =
        ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"];

    /// <summary>The folder of a model: of a GGUF file the one in the cache, which is made if it is missing; any other
    /// path is its own.</summary>
    /// <exception cref="InputException">The file holds no model that can be opened.</exception>
    public static string Resolve(string path) => Resolve(path, Path.Combine(UserCache.Folder, "gguf"));

    /// <summary>The folder of a GGUF file in a given cache.</summary>
    internal static string Resolve(string path, string cache)
    {
        if (!GgufFile.IsNamed(path) || Directory.Exists(path)) return path;
        using GgufFile file = GgufFile.Open(path);
        var info = new FileInfo(path);
        string identity = string.Create(CultureInfo.InvariantCulture,
            $"{Version} {info.FullName} {info.Length} {info.LastWriteTimeUtc.Ticks}");
        string name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(identity)))[..24];
        string folder = Path.Combine(cache, name);
        if (!Directory.Exists(folder)) AtomicFolder.Write(folder, into => Unpack(file, into));
        return folder;
    }

    private static void Unpack(GgufFile file, string folder)
    {
        if (file.Metadata.Integer("split.count") > 1)
            throw new InputException(
                $"{file.Path} is one of {file.Metadata.Integer("split.count")} parts of a model. Join them with " +
                "llama.cpp's llama-gguf-split.");
        NativeRuntime.Initialize();
        JsonObject config = GgufConfig.Read(file);
        string text = config.ToJsonString(new JsonSerializerOptions { WriteIndented = true });
        File.WriteAllText(Path.Combine(folder, "config.json"), text);
        GgufArchitecture architecture = GgufArchitecture.From(ConfigReader.Parse(text, file.Path));
        WriteTokenizer(file, folder, config["model_type"]!.GetValue<string>());
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        SafeTensorsWriter.Write(Path.Combine(folder, Checkpoint.SingleFileName), Weights(file, architecture));
    }

    private static List<KeyValuePair<string, Tensor>> Weights(GgufFile file, GgufArchitecture architecture)
    {
        var weights = new List<KeyValuePair<string, Tensor>>();
        var problems = new List<string>();
        HashSet<string> known = [.. Factors];
        foreach (GgufWeight weight in architecture.Weights)
        {
            known.Add(weight.Name);
            if (!file.Tensors.TryGetValue(weight.Name, out GgufTensor? tensor))
            {
                if (!weight.IsOptional) problems.Add($"missing: {weight.Name}");
            }
            else if (weight.IsStacked && (tensor.Shape.Length < 2 || tensor.Shape[0] != weight.Sources.Count))
                problems.Add(
                    $"wrong shape: {weight.Name} is [{string.Join(", ", tensor.Shape)}], expected " +
                    $"{weight.Sources.Count} at first");
            else if (tensor.Type.Decode is null)
                problems.Add(
                    $"{weight.Name} is stored as {tensor.Type.Name}; readable are {GgufType.ReadableNames}");
            else weights.AddRange(Parts(file, weight, tensor));
        }
        problems.AddRange(file.Tensors.Keys.Where(name => !known.Contains(name)).Take(20)
            .Select(name => $"unexpected: {name}"));
        return problems.Count == 0 ? weights
            : throw new InputException($"{file.Path} cannot be opened as a model:", problems);
    }

    private static IEnumerable<KeyValuePair<string, Tensor>> Parts(GgufFile file, GgufWeight weight, GgufTensor tensor)
    {
        bool isPacked = !tensor.Type.IsPlain && IsMatrix(weight, tensor);
        Tensor? values = isPacked ? null : file.Read(tensor);
        long rows = tensor.Shape.Length > 1 ? tensor.Shape[^2] : 1;
        for (int part = 0; part < weight.Sources.Count; part++)
        {
            string name = weight.Sources[part];
            if (values is not null)
            {
                yield return KeyValuePair.Create(
                    name, weight.Form.FromGguf(weight.IsStacked ? values[part] : values).contiguous());
                continue;
            }
            Tensor blocks = file.Rows(tensor, part * rows, rows);
            if (weight.Form.RowOrder(rows) is { } order)
                blocks = blocks.index_select(0, torch.tensor(GgufForm.Inverse(order)));
            yield return KeyValuePair.Create(name, blocks);
            yield return KeyValuePair.Create(
                name + GgufBlocks.Key, torch.tensor(Encoding.ASCII.GetBytes(tensor.Type.Name)));
        }
    }

    // Whether a tensor is the weight of a linear layer, which may stay packed.
    private static bool IsMatrix(GgufWeight weight, GgufTensor tensor) =>
        tensor.Shape.Length >= 2 && !weight.IsKeptWide && weight.Name != "token_embd.weight"
            && weight.Name.EndsWith(".weight", StringComparison.Ordinal);

    private static void WriteTokenizer(GgufFile file, string folder, string modelType)
    {
        GgufMetadata keys = file.Metadata;
        string model = keys.Text("tokenizer.ggml.model") ?? "none";
        if (model is "none" or "no_vocab") return;
        const string Prefix = "tokenizer.ggml.";
        IReadOnlyList<string>? tokens = keys.Texts(Prefix + "tokens");
        if (tokens is null) throw new InputException($"{file.Path}: {Prefix}tokens is missing, expected texts.");
        IReadOnlyList<long>? types = keys.Integers(Prefix + "token_type");
        if (types is not null && types.Count != tokens.Count)
            throw new InputException(
                $"{file.Path}: {Prefix}token_type has {types.Count} numbers, expected one for each of " +
                $"{tokens.Count} tokens.");
        var vocabulary = new GgufVocabulary(model, keys.Text(Prefix + "pre") ?? "default", tokens,
            [.. types?.Select(type => (int)Math.Clamp(type, 0, 6)) ?? Enumerable.Repeat(1, tokens.Count)])
        {
            Scores = keys.Numbers(Prefix + "scores"), Merges = keys.Texts(Prefix + "merges"),
            Settings = keys.Values.Where(key => key.Key.StartsWith(Prefix, StringComparison.Ordinal))
                .ToDictionary(key => key.Key[Prefix.Length..], key => key.Value),
        };
        GgufTokenizerFiles.Write(vocabulary, folder, file.Path,
            modelType.StartsWith("gemma", StringComparison.Ordinal) ? "GemmaTokenizer" : "LlamaTokenizer");
        var templates = new Dictionary<string, string>();
        if (keys.Text("tokenizer.chat_template") is { } template) templates[ChatTemplateFiles.Default] = template;
        foreach (string name in keys.Texts("tokenizer.chat_templates") ?? [])
            if (keys.Text("tokenizer.chat_template." + name) is { } further) templates[name] = further;
        if (templates.Count > 0) ChatTemplateFiles.Write(folder, templates);
    }
}
