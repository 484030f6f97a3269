using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Chat;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.Tasks;

/// <summary>Reads pairs of answers, and answers to score, in TRL's forms.</summary>
/// <remarks>Pairs: <c>{"prompt", "chosen", "rejected"[, "margin"]}</c>, texts or lists of messages; without "prompt",
/// both texts or conversations contain it; <c>{"chosen_input_ids", "rejected_input_ids"}</c> for tokens. To score:
/// <c>{"prompt", "completion"}</c>, <c>{"text"}</c>, <c>{"messages"}</c>, <c>{"input_ids"}</c>, or a pair. A text is
/// tokenised as a whole and ends with the end-of-text token, where the model has one.</remarks>
internal sealed class RewardRows(PretrainedModel model, Tokenizer? tokenizer, int maxLength)
{
    private const string Chosen = "chosen_input_ids", Rejected = "rejected_input_ids";

    // Texts of tokens may be of any length; pairs that are too long are left out, texts to score are cut.
    private readonly TextRows tokens = new(model, tokenizer, int.MaxValue);
    private IChatFormat? format;

    /// <summary>Maximum number of tokens of a text.</summary>
    public int MaxLength { get; } = Math.Min(maxLength, model.Network.MaxPositions);

    /// <summary>Number of texts to score that were cut.</summary>
    public int Cut { get; private set; }

    /// <summary>Whether a row was a conversation.</summary>
    public bool HasConversations { get; private set; }

    /// <summary>A pair, of any length.</summary>
    /// <exception cref="InputException">The row cannot be used.</exception>
    public RewardPair Pair(Row row)
    {
        var fields = new RowFields(row.Fields);
        double margin = Margin(row, fields);
        if (row.Fields.ContainsKey(Chosen) || row.Fields.ContainsKey(Rejected))
        {
            TextInput better = tokens.Tokens(fields, row, Chosen, "chosen_attention_mask"),
                worse = tokens.Tokens(fields, row, Rejected, "rejected_attention_mask");
            fields.ThrowIfWrong();
            return new RewardPair(better, worse, margin, row.Place);
        }
        foreach (string key in (string[])["chosen", "rejected"])
            if (row.Fields[key] is null) fields.Problem(Row.Lacking(row.Fields, key).ToString());
        fields.ThrowIfWrong();
        return new RewardPair(Answer(row, "chosen"), Answer(row, "rejected"), margin, row.Place);
    }

    /// <summary>The text of a row to score, or both texts of a pair.</summary>
    /// <exception cref="InputException">The row cannot be used.</exception>
    public (TextInput First, TextInput? Second) ToScore(Row row)
    {
        if (row.Fields.ContainsKey(Chosen) || row.Fields["chosen"] is not null)
        {
            RewardPair pair = Pair(row);
            return (Short(pair.Chosen), Short(pair.Rejected));
        }
        if (row.Fields["text_pair"] is not null)
            throw new InputException(
                "the row has \"text_pair\", and a reward model scores an answer to a prompt. Expected \"prompt\" and " +
                "\"completion\".");
        var fields = new RowFields(row.Fields);
        if (TextRows.HoldsTokens(row))
        {
            TextInput given = tokens.Tokens(fields, row);
            fields.ThrowIfWrong();
            return (Short(given), null);
        }
        if (row.Fields["messages"] is JsonArray messages) return (Short(Talk(messages, row)), null);
        if (row.Fields["completion"] is not null) return (Short(Answer(row, "completion")), null);
        if (row.Fields["text"] is null)
            throw new InputException(Row.Lacking(row.Fields, "completion",
                "Expected an answer to score: \"prompt\" and \"completion\", \"text\", or \"messages\"."));
        string text = fields.FilledText("text", "Expected a text to score.");
        fields.ThrowIfWrong();
        return (Short(Text(text)), null);
    }

    private static double Margin(Row row, RowFields fields)
    {
        if (row.Fields["margin"] is not { } given) return 0;
        if (given is JsonValue value && value.TryGetValue(out double margin) && float.IsFinite((float)margin))
            return margin;
        fields.Problem($"\"margin\" is {Row.Describe(given)}, expected a number: by how much the chosen answer is " +
            $"better.");
        return 0;
    }

    private TextInput Answer(Row row, string key)
    {
        JsonNode? prompt = row.Fields["prompt"], answer = row.Fields[key];
        if (answer is JsonArray turns)
        {
            if (prompt is not (null or JsonArray))
                throw new InputException(
                    $"\"{key}\" is a list of messages and \"prompt\" is {Row.Describe(prompt)}; expected a list too, " +
                    "or texts in both.");
            return Talk([.. (prompt as JsonArray ?? []).Concat(turns).Select(turn => turn?.DeepClone())], row);
        }
        if (Row.AsText(answer) is not { } text || (prompt is not null && Row.AsText(prompt) is null))
            throw new InputException(
                $"\"{key}\" is {Row.Describe(answer)}" +
                (prompt is null ? "" : $" and \"prompt\" is {Row.Describe(prompt)}") +
                ", expected texts, or lists of messages.");
        return Text(Row.AsText(prompt) + text);
    }

    private TextInput Text(string text)
    {
        if (text.Length == 0) throw new InputException("The text is empty. Expected an answer.");
        if (model.Network is not Decoder) return TextRows.Input(tokens.Tokenizer.EncodeFull(text));
        int[] ids = PromptEncoding.Text(tokens.Tokenizer, text);
        return new TextInput(PromptEncoding.Ended(tokens.Tokenizer, ids));
    }

    private TextInput Talk(JsonArray messages, Row row)
    {
        HasConversations = true;
        format ??= ChatFormats.ForTalking(tokens.Tokenizer);
        string text = format.Render(messages, row.Fields["tools"] as JsonArray, learned: [])[0].Text;
        return format.SpellsSpecialTokens
            ? new TextInput(tokens.Tokenizer.Encode(text, addSpecialTokens: false)) : Text(text);
    }

    private TextInput Short(TextInput text)
    {
        if (text.Length <= MaxLength) return text;
        Cut++;
        return new TextInput(text.Ids[..MaxLength], text.Types?[..MaxLength], text.Mask?[..MaxLength]);
    }
}
