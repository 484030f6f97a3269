using System.Text.RegularExpressions;

namespace LowRank.Adapters.Files;

/// <summary>Says in words how a file's tensors differ from the layout they should have.</summary>
internal sealed partial class AdapterLayoutComparison(IReadOnlyList<AdapterTensor> expected, HashSet<string> modulePaths, string label)
{
    // one wrong setting makes hundreds of lines; the first ones tell it
    private const int Shown = 3;

    private readonly Dictionary<string, AdapterTensor> byKey = expected.ToDictionary(tensor => tensor.Key);

    /// <summary>One line for each difference; one for all of a kind, with the first of them, where there are more than <see cref="Shown"/>.</summary>
    public IReadOnlyList<string> Problems(Dictionary<string, long[]> file) =>
    [
        .. Unexpected(file).GroupBy(found => found.Kind, found => found.Problem).SelectMany(same => Limit("tensors that fit no module", same)),
        .. Limit("missing tensors", Missing(file)),
        .. Limit("tensors of another shape", Mismatched(file)),
    ];

    private static IEnumerable<string> Limit(string what, IEnumerable<string> problems)
    {
        string[] all = [.. problems];
        return all.Length <= Shown ? all : [$"{all.Length} {what}, the first of them: {string.Join("; ", all.Take(Shown))}"];
    }

    // Those of one kind have the same reason, but for a module's path.
    private IEnumerable<(string Kind, string Problem)> Unexpected(Dictionary<string, long[]> file) =>
        from key in file.Keys.Where(key => !byKey.ContainsKey(key)).Order(StringComparer.Ordinal)
        let why = WhyUnexpected(key)
        select (why.Contains('"', StringComparison.Ordinal) ? why[..why.IndexOf('"')] : why, $"{key}: {why}");

    private string WhyUnexpected(string key)
    {
        if (NamedAdapter().Match(key) is { Success: true } named)
            return $"holds the adapter's name \"{named.Groups["name"].Value}\", which PEFT never writes to a file; save it with PEFT's save_pretrained, or take the name out of the keys";
        if (!key.StartsWith(PeftTensorKeys.Prefix))
            return $"does not begin with \"{PeftTensorKeys.Prefix}\"; expected PEFT's keys. Save it with PEFT's save_pretrained";
        if (PeftTensorKeys.Parse(key) is not { } place) return $"is no tensor of a {label} adapter";
        if (!modulePaths.Contains(place.Path)) return $"the model has no module \"{place.Path}\"; is this the base model of the adapter?";
        return place.Part switch
        {
            AdapterTensorPart.Magnitude => "belongs to DoRA, but use_dora is not true in the config",
            AdapterTensorPart.OutputBias => "is a bias on B, but lora_bias is not true in the config",
            AdapterTensorPart.TokenRows => "belongs to trained tokens, but trainable_token_indices is null in the config",
            AdapterTensorPart.Weight => "is a whole weight, but modules_to_save does not name its module (or the vocabulary was resized before training)",
            AdapterTensorPart.Bias or AdapterTensorPart.AdaptedBias => "is a bias that the config's bias setting does not train",
            AdapterTensorPart.AdaptedWeight => "is a base weight, but its module is not an adapted embedding or output head",
            _ => "its module is not among the targets of the config, or not of this kind",
        };
    }

    private IEnumerable<string> Missing(Dictionary<string, long[]> file) =>
        expected.Where(tensor => tensor.IsRequired && !file.ContainsKey(tensor.Key))
            .Select(tensor => $"{tensor.Key}: missing, expected {Words(tensor.Shape)} for the module \"{tensor.Path}\", which the config targets");

    private IEnumerable<string> Mismatched(Dictionary<string, long[]> file) =>
        expected.Where(tensor => file.TryGetValue(tensor.Key, out long[]? shape) && !shape.SequenceEqual(tensor.Shape))
            .Select(tensor => $"{tensor.Key}: found {Words(file[tensor.Key])}, expected {Words(tensor.Shape)}; does the rank in the config fit, and is this the adapter's base model?");

    private static string Words(long[] shape) => $"[{string.Join(", ", shape)}]";

    [GeneratedRegex(@"\.lora_[AB]\.(?<name>[^.]+)\.(weight|bias)$|\.lora_embedding_[AB]\.(?<name>[^.]+)$|\.lora_magnitude_vector\.(?<name>[^.]+)(\.weight)?$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex NamedAdapter();
}
