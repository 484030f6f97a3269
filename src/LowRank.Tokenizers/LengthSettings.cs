using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Tokenizers;

/// <summary>Length settings in a tokenizer's files: the sections <c>truncation</c> and <c>padding</c> of
/// tokenizer.json, and <c>truncation_side</c> and <c>padding_side</c> of tokenizer_config.json, which take
/// precedence.</summary>
/// <remarks>As in transformers, the sides and the padding token apply, while the caller determines the
/// lengths.</remarks>
/// <param name="TruncationSide">The side on which texts are truncated.</param>
/// <param name="PaddingSide">The side of the padding.</param>
/// <param name="PadToken">The padding token in the section; null for none.</param>
/// <param name="PadTypeId">The type id of padding.</param>
/// <param name="Notes">Settings in the files that have no effect, one sentence each.</param>
internal sealed record LengthSettings(
    TextSide TruncationSide, TextSide PaddingSide, string? PadToken, int PadTypeId, IReadOnlyList<string> Notes)
{
    private static readonly string[] Strategies = ["LongestFirst", "OnlyFirst", "OnlySecond"];

    /// <summary>No settings.</summary>
    public static LengthSettings None { get; } = new(TextSide.Right, TextSide.Right, null, 0, []);

    /// <summary>Applies a folder's tokenizer_config.json to the existing settings.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="InputException">A side is neither left nor right.</exception>
    public LengthSettings With(string folder)
    {
        string file = Path.Combine(folder, "tokenizer_config.json");
        var config = new ComponentJson(TokenizerFolder.Json(file), file);
        return this with { TruncationSide = Side(config, "truncation_side", TruncationSide),
            PaddingSide = Side(config, "padding_side", PaddingSide) };
    }

    /// <summary>Reads the sections of a tokenizer.json.</summary>
    /// <exception cref="InputException">A section is malformed.</exception>
    public static LengthSettings Read(ComponentJson tokenizer)
    {
        LengthSettings settings = None;
        List<string> notes = [];
        if (tokenizer.Child("truncation") is { } truncation)
        {
            string strategy = truncation.TextOr("strategy", Strategies[0])!;
            if (!Strategies.Contains(strategy)) throw truncation.Unsupported("strategy", string.Join(", ", Strategies));
            int length = truncation.Number("max_length"), stride = truncation.NumberOr("stride", 0);
            settings = settings with { TruncationSide = Side(truncation, "direction", TextSide.Right) };
            notes.Add(
                $"{tokenizer.Place} asks to cut texts at {length} tokens " +
                $"({strategy}{(stride > 0 ? $", stride {stride}" : "")}); that is not done by itself, as in " +
                "transformers: max_length counts.");
        }
        if (tokenizer.Child("padding") is { } padding)
        {
            settings = settings with
            {
                PaddingSide = Side(padding, "direction", TextSide.Right),
                PadToken = padding.TextOr("pad_token", null),
                PadTypeId = padding.NumberOr("pad_type_id", 0),
            };
            notes.Add(
                $"{tokenizer.Place} asks to fill texts up {Amount(padding)}; that is not done by itself, as in " +
                "transformers: rows are filled to the longest of a batch.");
        }
        return settings with { Notes = notes };
    }

    // "BatchLongest" or {"Fixed": LENGTH}
    private static string Amount(ComponentJson padding) => padding.Json["strategy"] switch
    {
        JsonValue value when value.TryGetValue(out string? text) && text == "BatchLongest" =>
            "to the longest of a batch",
        JsonObject { Count: 1 } fixedLength when fixedLength["Fixed"]?.GetValueKind() == JsonValueKind.Number =>
            $"to {fixedLength["Fixed"]} tokens",
        _ => throw padding.Unsupported("strategy", "\"BatchLongest\" or {\"Fixed\": LENGTH}"),
    };

    private static TextSide Side(ComponentJson json, string key, TextSide otherwise) =>
        json.TextOr(key, null)?.ToLowerInvariant() switch
    {
        null => otherwise,
        "left" => TextSide.Left,
        "right" => TextSide.Right,
        _ => throw json.Unsupported(key, "left or right"),
    };
}
