using System.Text.RegularExpressions;
using LowRank.IO;

namespace LowRank.Adapters.Files;

/// <summary>The tensors of an adapter folder under PEFT's keys, even if another program left the adapter's name in the
/// keys.</summary>
internal static partial class AdapterTensorFile
{
    /// <summary>Opens the file of a folder.</summary>
    /// <exception cref="InputException">The file is missing, invalid, or contains adapters with several
    /// names.</exception>
    public static SafeTensorsFile Load(string folder)
    {
        SafeTensorsFile file = SafeTensorsFile.OpenAny(Adapter.TensorsPath(folder));
        try
        {
            string[] names =
                [.. file.Entries.Keys.Select(Named).OfType<string>().Distinct().Order(StringComparer.Ordinal)];
            if (names.Length == 0) return file;
            if (names.Length > 1)
                throw new InputException(
                    $"{file.Path} holds tensors of {names.Length} adapters " +
                    $"({string.Join(", ", names.Take(5).Select(name => $"\"{name}\""))}{(names.Length > 5 ? ", …"
                        : "")}); expected one. Save each with PEFT's save_pretrained.");
            string[] twice =
                [.. file.Entries.Keys.Select(Plain).OfType<string>().GroupBy(key => key)
                .Where(group => group.Count() > 1).Select(group => group.Key).Take(3)];
            if (twice.Length > 0)
                throw new InputException(
                    $"{file.Path} holds these tensors with and without the adapter's name \"{names[0]}\"; keep one " +
                    "of each:", twice);
            return file.Renamed(Plain);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The adapter's name in a key; null if it has none, as in the files that PEFT writes.</summary>
    public static string? Named(string key) =>
        NamedKey().Match(key) is { Success: true } match ? match.Groups["name"].Value : null;

    // The trained copy of a module, and the base's own copy, which is ignored.
    private static string? Plain(string key)
    {
        if (key.Contains(".original_module.", StringComparison.Ordinal)) return null;
        if (NamedKey().Match(key) is not { Success: true } match) return key;
        string head = match.Groups["head"].Value, tail = match.Groups["tail"].Value;
        return (head.EndsWith(".modules_to_save", StringComparison.Ordinal) ? head[..^".modules_to_save".Length]
            : head) + tail;
    }

    [GeneratedRegex(
        @"^(?<head>.+\.(lora_[AB]|lora_embedding_[AB]|lora_magnitude_vector|lora_E|lora_ranknum|ia3_l|hada_w[12]_[ab]|hada_t[12]|lokr_w[12](_[ab])?|lokr_t2|vera_lambda_[bd]))\.(?!(weight|bias)$)(?<name>[^.]+)(?<tail>(\.(weight|bias))?)$|^(?<head>.+\.modules_to_save)\.(?<name>[^.]+)(?<tail>\..+)$",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex NamedKey();
}
