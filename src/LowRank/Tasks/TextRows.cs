using LowRank.Data;
using LowRank.Data.Forms;
using LowRank.Models;
using LowRank.Tokenization;

namespace LowRank.Tasks;

/// <summary>Turns the texts of rows into tokens for a model, and counts what is cut off.</summary>
internal sealed class TextRows(PretrainedModel model, Tokenizer? tokenizer, int maxLength)
{
    private long cut;

    /// <summary>Longest text in tokens, special ones included.</summary>
    public int MaxLength { get; } = Math.Min(maxLength, model.Network.MaxPositions);

    /// <summary>What the user has to know of what was cut off.</summary>
    public IReadOnlyList<string> Warnings => cut == 0 ? []
        : [$"{(cut == 1 ? "1 text was" : $"{cut} texts were")} longer than max_length {MaxLength} and lost {(cut == 1 ? "its" : "their")} {(Tokenizer.TruncationSide == TextSide.Left ? "beginning" : "end")}."];

    /// <summary>The tokenizer.</summary>
    /// <exception cref="InputException">The model has none.</exception>
    public Tokenizer Tokenizer => tokenizer ?? throw new InputException(
        $"rows of text need a tokenizer, and {model.Folder} has none. Copy the model's tokenizer files into the folder, or give rows of \"input_ids\".");

    /// <summary>Whether a row holds tokens instead of texts.</summary>
    public static bool HoldsTokens(Sample sample) => sample.Row.ContainsKey("input_ids");

    /// <summary>Reads <c>{"input_ids"[, "attention_mask", "token_type_ids"]}</c>.</summary>
    public TextInput Tokens(RowFields fields, Sample sample, string key = "input_ids", string maskKey = "attention_mask")
    {
        int vocabulary = model.Network.VocabularySize;
        int[] ids = fields.Numbers(key, id => id >= 0 && id < vocabulary, $"a token id from 0 to {vocabulary - 1}");
        int[]? Beside(string name, bool isMask)
        {
            if (!sample.Row.ContainsKey(name)) return null;
            int[] values = isMask ? fields.Mask(name) : fields.Numbers(name, value => value is 0 or 1, "0 or 1");
            if (values.Length != ids.Length) fields.Problem($"\"{name}\" has {values.Length} entries, expected {ids.Length}, one for each of \"{key}\".");
            return values;
        }
        if (ids.Length == 0) fields.Problem($"\"{key}\" is empty, expected at least one token.");
        if (ids.Length > MaxLength) fields.Problem($"\"{key}\" has {ids.Length} tokens, expected at most {MaxLength} (max_length, or the model's positions).");
        return new TextInput(ids, key == "input_ids" ? Beside("token_type_ids", isMask: false) : null, Beside(maskKey, isMask: true));
    }

    /// <summary>A text, or a pair, cut to the length allowed at the end of the longer one.</summary>
    public TokenEncoding Encode(string first, string? second) => Encode(first, second, out _);

    /// <inheritdoc cref="Encode(string, string?)"/>
    /// <param name="first">The text.</param>
    /// <param name="second">The text beside it; null for none.</param>
    /// <param name="seen">The part of the first text that was not cut off.</param>
    public TokenEncoding Encode(string first, string? second, out TokenSpan seen)
    {
        TokenEncoding Full(EncodingOptions? options) => second is null ? Tokenizer.EncodeFull(first, options) : Tokenizer.EncodeFull(first, second, options);
        TokenEncoding whole = Full(null);
        seen = new TokenSpan(0, first.Length);
        if (whole.Ids.Length <= MaxLength) return whole;
        cut++;
        TokenEncoding kept = Full(new EncodingOptions { MaxLength = MaxLength });
        TokenSpan[] spans = [.. kept.Offsets.Where((span, i) => kept.Sequences[i] == 0 && span.End > span.Start)];
        seen = spans.Length == 0 ? default : new TokenSpan(spans.Min(span => span.Start), spans.Max(span => span.End));
        return kept;
    }

    /// <summary>The tokens of an encoding as a model takes them.</summary>
    public static TextInput Input(TokenEncoding encoding) =>
        new(encoding.Ids, encoding.TypeIds.Any(type => type != 0) ? encoding.TypeIds : null);
}
