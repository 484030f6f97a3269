using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Tokenizers;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>Tokenises the texts of rows for a model, and counts what is cut off.</summary>
internal sealed class TextRows(PretrainedModel model, Tokenizer? tokenizer, int maxLength)
{
    private long cut;

    /// <summary>Maximum text length in tokens, including special ones.</summary>
    public int MaxLength { get; } = Math.Min(maxLength, model.Network.MaxPositions);

    /// <summary>Notes about what was cut off.</summary>
    public IReadOnlyList<Words> Warnings => cut == 0 ? []
        : [Words.Of(
            $"{(cut == 1 ? "1 text was" : $"{cut} texts were")} longer than {KnownSettings.MaxLength} {MaxLength} " +
            $"and lost {(cut == 1 ? "its" : "their")} " +
            $"{(Tokenizer.TruncationSide == TextSide.Left ? "beginning" : "end")}.")];

    /// <summary>The tokenizer.</summary>
    /// <exception cref="InputException">The model has no tokenizer.</exception>
    public Tokenizer Tokenizer => tokenizer ?? throw new InputException(
        $"rows of text need a tokenizer, and {model.Folder} has none. Copy the model's tokenizer files into the " +
            "folder, or give rows of \"input_ids\".");

    /// <summary>Whether a row is tokenised.</summary>
    public static bool HoldsTokens(Row row) => row.Fields.ContainsKey("input_ids");

    /// <summary>Reads <c>{"input_ids"[, "attention_mask", "token_type_ids"]}</c>.</summary>
    public TextInput Tokens(
        RowFields fields, Row row, string key = "input_ids", string maskKey = "attention_mask")
    {
        int vocabulary = model.Network.VocabularySize;
        int[] ids = fields.Numbers(key, id => id >= 0 && id < vocabulary, $"a token id from 0 to {vocabulary - 1}");
        int[]? Beside(string name, bool isMask)
        {
            if (!row.Fields.ContainsKey(name)) return null;
            int[] values = isMask ? fields.Mask(name) : fields.Numbers(name, value => value is 0 or 1, "0 or 1");
            if (values.Length != ids.Length)
                fields.Problem(
                    $"\"{name}\" has {values.Length} entries, expected {ids.Length}, one for each of \"{key}\".");
            return values;
        }
        if (ids.Length == 0) fields.Problem($"\"{key}\" is empty, expected at least one token.");
        if (ids.Length > MaxLength)
            fields.Problem(
                $"\"{key}\" has {ids.Length} tokens, expected at most {MaxLength} ({KnownSettings.MaxLength}, or the " +
                $"model's positions).");
        return new TextInput(ids, key == "input_ids" ? Beside("token_type_ids", isMask: false)
            : null, Beside(maskKey, isMask: true));
    }

    /// <summary>Encodes a text or a pair, cut to the maximum length at the end of the longer one.</summary>
    public TokenEncoding Encode(string first, string? second) => Encode(first, second, out _);

    /// <inheritdoc cref="Encode(string, string?)"/>
    /// <param name="first">The text.</param>
    /// <param name="second">The second text; null for none.</param>
    /// <param name="seen">The part of the first text that remained.</param>
    public TokenEncoding Encode(string first, string? second, out TokenSpan seen)
    {
        TokenEncoding Full(EncodingOptions? options) => second is null ? Tokenizer.EncodeFull(first, options)
            : Tokenizer.EncodeFull(first, second, options);
        TokenEncoding whole = Full(null);
        seen = new TokenSpan(0, first.Length);
        if (whole.Ids.Length <= MaxLength) return whole;
        cut++;
        TokenEncoding kept = Full(new EncodingOptions { MaxLength = MaxLength });
        TokenSpan[] spans = [.. kept.Offsets.Where((span, i) => kept.Sequences[i] == 0 && span.End > span.Start)];
        seen = spans.Length == 0 ? default : new TokenSpan(spans.Min(span => span.Start), spans.Max(span => span.End));
        return kept;
    }

    /// <summary>The tokens of an encoding as input of a model.</summary>
    public static TextInput Input(TokenEncoding encoding) =>
        new(encoding.Ids, encoding.TypeIds.Any(type => type != 0) ? encoding.TypeIds : null);
}

/// <summary>A text, or a pair of texts, as input of an encoder.</summary>
/// <param name="Ids">Token ids.</param>
/// <param name="Types">0 for the first text and 1 for the second; null for 0 everywhere.</param>
/// <param name="Mask">1 for tokens and 0 for padding inside the row; null without padding.</param>
internal sealed record TextInput(int[] Ids, int[]? Types = null, int[]? Mask = null)
{
    /// <summary>Number of tokens, including padding.</summary>
    public int Length => Ids.Length;

    /// <summary>Number of tokens, without padding.</summary>
    public int Tokens => Mask is null ? Ids.Length : Mask.Count(mask => mask != 0);
}

/// <summary>Pads texts on the right and moves them to the device.</summary>
internal static class InputBatch
{
    /// <summary>Creates a batch of texts.</summary>
    /// <param name="texts">At least one text.</param>
    /// <param name="padding">The padding id, which the mask hides.</param>
    /// <param name="device">The target device.</param>
    public static ModelInput Create(IReadOnlyList<TextInput> texts, int padding, Device device)
    {
        int length = texts.Max(text => text.Length);
        long[] Rows(Func<TextInput, int, int> value, int otherwise)
        {
            var rows = new long[texts.Count * length];
            for (int row = 0; row < texts.Count; row++)
                for (int i = 0; i < length; i++)
                    rows[row * length + i] = i < texts[row].Length ? value(texts[row], i) : otherwise;
            return rows;
        }
        Tensor OnDevice(long[] rows) => tensor(rows, dtype: ScalarType.Int64, device: device).view(-1, length);
        long[] mask = Rows((text, i) => text.Mask?[i] ?? 1, 0);
        return new ModelInput(OnDevice(Rows((text, i) => text.Ids[i], padding)), mask.Contains(0)
            ? OnDevice(mask) : null,
            texts.Any(text => text.Types is not null) ? OnDevice(Rows((text, i) => text.Types?[i] ?? 0, 0)) : null);
    }

    /// <summary>Labels of tokens, [batch · sequence], -100 on padding.</summary>
    public static long[] Labels(IReadOnlyList<int[]> rows)
    {
        int length = rows.Max(row => row.Length);
        return [.. rows.SelectMany(
            row => Enumerable.Range(0, length)
            .Select(i => i < row.Length ? (long)row[i] : Data.TokenizedExample.Ignored))];
    }

    /// <summary>The padding id that a model uses to count positions, else the config's, else 0.</summary>
    public static int Padding(PretrainedModel model) => model.Network is Encoder { Shape.PositionPadding: { } padding }
        ? padding : (int)Math.Max(0, model.Config.NumberOr("pad_token_id", 0));
}

/// <summary>Reads rows of any task and records those that cannot be used.</summary>
internal static class RowReader
{
    /// <summary>Converts all rows to examples.</summary>
    /// <param name="source">The rows.</param>
    /// <param name="make">Converts a row to examples; throws its problem, without its place.</param>
    /// <param name="notes">Receives notes from reading, one sentence each; may be null.</param>
    /// <param name="foreign">Whether to recognise forms of other programs' data.</param>
    /// <exception cref="InputException">Rows that cannot be used: all are counted, the first ten problems shown. Or no
    /// row is left.</exception>
    public static List<T> Read<T>(
        RowSource source, Func<Row, IEnumerable<T>> make, ICollection<Words>? notes = null, bool foreign = false)
    {
        RowReading reading = source.Reading(foreign);
        var made = new List<T>();
        foreach (Row row in reading.Rows())
        {
            try
            {
                made.AddRange(make(row));
            }
            catch (InputException failure)
            {
                reading.Problems.Add(row.Place, failure);
            }
        }
        reading.Problems.ThrowIfAny();
        if (made.Count == 0)
            throw new InputException($"No row of {string.Join(", ", source.Paths)} is left to use.",
                [.. reading.Notes.Select(note => new Problem(note))]);
        foreach (Words note in reading.Notes) notes?.Add(note);
        return made;
    }
}
