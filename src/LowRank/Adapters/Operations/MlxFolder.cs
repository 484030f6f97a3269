using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Operations;

/// <summary>mlx-lm's adapter folders: <c>adapter_config.json</c> with <c>fine_tune_type</c>, and
/// <c>adapters.safetensors</c> with <c>lora_a</c> [in, rank] and <c>lora_b</c> [rank, out], y = Wx + scale·(x·a)·b; for
/// DoRA also <c>m</c> [out].</summary>
/// <remarks>mlx-lm has one rank, one scale and one list of layer names for the last <c>num_layers</c> layers. Scales
/// that differ by module are folded into <c>lora_b</c>, and ranks are padded with zeros; what the format cannot
/// represent is rejected.</remarks>
public static class MlxFolder
{
    private const string TensorFile = "adapters.safetensors";

    /// <summary>Writes an adapter as an mlx-lm folder.</summary>
    /// <param name="folder">A PEFT folder with LoRA or DoRA.</param>
    /// <param name="model">The base's folder, for the number of its layers.</param>
    /// <param name="target">The folder to create; it appears complete or not at all.</param>
    /// <exception cref="InputException">The adapter has parts that mlx-lm cannot represent; the message lists all of
    /// them.</exception>
    public static void FromPeft(string folder, string model, string target)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        (LoraFolder adapter, IReadOnlyDictionary<string, Tensor> magnitudes) = ReadWithMagnitudes(folder);
        LoraConfig config = adapter.Config;
        Require(folder, adapter);
        int rank = adapter.Modules.Max(module => module.Rank);
        double scale = adapter.Modules.GroupBy(module => module.Scale)
            .OrderByDescending(group => group.Count()).First().Key;
        ConfigReader reader = ConfigReader.Open(Path.Combine(model, "config.json"));
        int layers = reader.PositiveOr("num_hidden_layers", reader.PositiveOr("n_layer", 1));
        reader.ThrowIfInvalid();
        int first = adapter.Modules.Min(module => Layer(module.Path)!.Value);
        var tensors = new List<KeyValuePair<string, Tensor>>();
        foreach (LoraModule module in adapter.Modules)
        {
            tensors.Add(KeyValuePair.Create(module.Path + ".lora_a", Filled(module.A, rank, 0).t().contiguous()));
            Tensor b = Filled(module.B, rank, 1) * Kernels.Numbers.Number(module.Scale / scale);
            tensors.Add(KeyValuePair.Create(module.Path + ".lora_b", b.t().contiguous()));
            if (magnitudes.TryGetValue(module.Path, out Tensor? magnitude))
                tensors.Add(KeyValuePair.Create(module.Path + ".m", magnitude));
        }
        AtomicFolder.Write(target, into =>
        {
            SafeTensorsWriter.Write(Path.Combine(into, TensorFile), tensors);
            var parameters = new JsonObject
            {
                ["rank"] = rank, ["dropout"] = config.Dropout, ["scale"] = scale,
                ["keys"] = new JsonArray(
                    [.. adapter.Modules.Select(module => InLayer(module.Path)).Distinct().Order(StringComparer.Ordinal)
                    .Select(key => (JsonNode)key)]),
            };
            var settings = new JsonObject
            {
                ["fine_tune_type"] = config.UseDora ? "dora" : "lora", ["lora_parameters"] = parameters,
                    ["model"] = config.BaseModel, ["num_layers"] = layers - first,
            };
            File.WriteAllText(
                Path.Combine(into, AdapterConfig.FileName),
                settings.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
        });
    }

    /// <summary>Writes an mlx-lm folder as a PEFT folder.</summary>
    /// <param name="folder">The mlx-lm folder.</param>
    /// <param name="model">The base's folder.</param>
    /// <param name="target">The folder to create; it appears complete or not at all.</param>
    /// <returns>Notes for the user about the base, one sentence each.</returns>
    /// <exception cref="InputException">The folder is not an mlx-lm adapter, or was fully fine-tuned.</exception>
    public static IReadOnlyList<string> ToPeft(string folder, string model, string target)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        (string type, double scale, double dropout) = Settings(folder);
        using SafeTensorsFile file = SafeTensorsFile.Open(Path.Combine(folder, TensorFile));
        List<string> paths =
            [.. file.Entries.Keys.Where(key => key.EndsWith(".lora_a", StringComparison.Ordinal))
            .Select(key => key[..^".lora_a".Length]).Order(ModulePathOrder.Instance)];
        string[] foreign =
            [.. file.Entries.Keys.Where(
                key => !paths.Exists(path => key.StartsWith(path + ".", StringComparison.Ordinal)))];
        if (paths.Count == 0 || foreign.Length > 0)
            throw new InputException(
                $"{file.Path} holds {(paths.Count == 0 ? "no lora_a" : "tensors that belong to no pair")}; " +
                "expected PATH.lora_a, PATH.lora_b and, of DoRA, PATH.m.", [.. foreign.Take(10)]);
        var others = new Dictionary<string, Tensor>();
        List<LoraModule> modules = [.. paths.Select(path =>
        {
            if (file.Entries.ContainsKey(path + ".m"))
                others[PeftTensorKeys.Key(path, AdapterTensorPart.Magnitude)] =
                    file.Map(path + ".m").to(ScalarType.Float32).clone();
            return new LoraModule(
                path, false, Read(path + ".lora_a").t().contiguous(), Read(path + ".lora_b").t().contiguous(), scale);
        })];
        using PretrainedModel opened = PretrainedModel.Open(model);
        var config = TaskTypes.Fill(
            new LoraConfig { BaseModel = model, Dropout = dropout, UseDora = type == "dora",
            TargetModules = [.. paths] }, opened.Network);
        AdapterConfig resolved =
            TargetMatcher.Match(
                config, ModuleInfo.From(opened.Network), opened.Config.ModelType, AdapterUse.Create).Resolved;
        new LoraFolder((LoraConfig)resolved, modules, others).Write(target);
        return opened.Notes;

        Tensor Read(string key) => file.Map(key).to(ScalarType.Float32);
    }

    // Here DoRA consists of plain pairs and an extra vector, which operations on plain pairs reject.
    private static (LoraFolder, IReadOnlyDictionary<string, Tensor>) ReadWithMagnitudes(string folder)
    {
        LoraFolder whole = LoraFolder.Load(folder, allowsMagnitudes: true);
        var magnitudes =
            whole.Others.Where(other => PeftTensorKeys.Parse(other.Key)?.Part == AdapterTensorPart.Magnitude)
            .ToDictionary(other => PeftTensorKeys.Parse(other.Key)!.Value.Path, other => other.Value);
        return (whole with { Others = whole.Others.Where(
            other => PeftTensorKeys.Parse(other.Key)?.Part != AdapterTensorPart.Magnitude).ToDictionary() },
            magnitudes);
    }

    private static void Require(string folder, LoraFolder adapter)
    {
        List<string> problems =
        [
            .. adapter.Others.Keys.Take(10).Select(key => $"{key}: mlx-lm keeps pairs only"),
            .. adapter.Modules.Where(module => module.IsEmbedding || Layer(module.Path) is null)
            .Select(module => $"{module.Path}: mlx-lm adapts layers of the stack by number only"),
        ];
        if (adapter.Base?.BaseDtype is { } needed)
            problems.Add(
                $"{AdapterBase.FileName}: the pairs are right beside a base in {needed} alone, as it is quantised " +
                "here");
        if (problems.Count > 0)
            throw new InputException(
                $"{folder} cannot be expressed in mlx-lm's format. Merge the adapter into its base" +
                $"{KnownSettings.Merge.Aside} and convert the model:", problems);
    }

    private static (string Type, double Scale, double Dropout) Settings(string folder)
    {
        string path = Path.Combine(folder, AdapterConfig.FileName);
        if (!File.Exists(path)) throw new InputException($"{path} is not there; expected mlx-lm's adapter folder.");
        JsonObject root = JsonObjects.Read(path);
        string type = (root["fine_tune_type"] as JsonValue)?.TryGetValue(out string? named) == true ? named!
            : root["fine_tune_type"] is null ? "lora" : Found(root["fine_tune_type"]);
        var problems = new List<string>();
        if (type is not ("lora" or "dora"))
            problems.Add(
                $"fine_tune_type is {type}, expected lora or dora: a fully tuned model is no adapter; extract " +
                "one from it and its base");
        var parameters = root["lora_parameters"] as JsonObject;
        if (parameters is null)
            problems.Add(
                $"lora_parameters is {Found(root["lora_parameters"])}, expected an object with rank, scale and " +
                "dropout; is this mlx-lm's file?");
        double scale =
            Number(parameters, "scale", null, value => Math.Abs(value) <= float.MaxValue, "a finite number", problems);
        double dropout =
            Number(parameters, "dropout", 0, value => value is >= 0 and < 1,
            "a number of at least 0 and below 1", problems);
        if (problems.Count > 0)
            throw problems.Count == 1 ? new InputException($"{path}: {problems[0]}.")
                : new InputException($"{path} cannot be used:", problems);
        return (type, scale, dropout);
    }

    private static double Number(JsonObject? parameters, string key, double? otherwise, Func<double, bool> isValid,
        string expected, List<string> problems)
    {
        if (parameters is null || (parameters[key] is null && otherwise is not null)) return otherwise ?? 0;
        if ((parameters[key] as JsonValue)?.TryGetValue(out double value) == true && isValid(value)) return value;
        problems.Add($"lora_parameters.{key} is {Found(parameters[key])}, expected {expected}");
        return 0;
    }

    private static string Found(JsonNode? node) => node?.ToJsonString() is not { } json ? "missing" : json.Length <= 60
        ? json : json[..60] + "…";

    // Padding with zero rows or columns to the common rank changes nothing.
    private static Tensor Filled(Tensor tensor, int rank, int dimension)
    {
        long missing = rank - tensor.shape[dimension];
        return missing == 0 ? tensor
            : cat([tensor, zeros(dimension == 0 ? [missing, tensor.shape[1]] : [tensor.shape[0], missing])], dimension);
    }

    private static int? Layer(string path) =>
        path.Split('.').Select(Number).FirstOrDefault(number => number is not null);

    // "self_attn.q_proj" from "model.layers.3.self_attn.q_proj"
    private static string InLayer(string path) =>
        string.Join('.', path.Split('.').SkipWhile(part => Number(part) is null).Skip(1));

    private static int? Number(string part) =>
        int.TryParse(part, CultureInfo.InvariantCulture, out int number) ? number : null;
}
