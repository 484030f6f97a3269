using System.Text.Json.Nodes;

namespace LowRank.Data;

/// <summary>Reads the fields of a row and collects problems.</summary>
internal sealed class RowFields(JsonObject row)
{
    private readonly List<Problem> problems = [];

    /// <summary>Whether there are no problems so far.</summary>
    public bool AreRight => problems.Count == 0;

    public void Problem(string problem) => problems.Add(new Problem(problem));

    /// <inheritdoc cref="Problem(string)"/>
    public void Problem(Words problem) => problems.Add(new Problem(problem));

    /// <summary>A text that is not empty; "" after a problem.</summary>
    public string FilledText(string key, string whenEmpty)
    {
        string text = AnyText(key, out bool isText);
        if (isText && text.Length == 0) Problem($"\"{key}\" is empty. {whenEmpty}");
        return text;
    }

    /// <summary>A text; "" after a problem.</summary>
    public string AnyText(string key) => AnyText(key, out _);

    private string AnyText(string key, out bool isText)
    {
        isText = Row.AsText(row[key]) is not null;
        if (!isText) problems.Add(Wrong(key, "a text"));
        return Row.AsText(row[key]) ?? "";
    }

    /// <summary>The problem of a field that is absent or has an unexpected value.</summary>
    public Problem Wrong(string key, string expected) => !row.ContainsKey(key) ? Row.Lacking(row, key)
        : new Problem($"\"{key}\" is {Row.Describe(row[key])}, expected {expected}.");

    /// <summary>Ones for tokens and zeros for padding; a text that is all padding is a problem.</summary>
    public int[] Mask(string key)
    {
        int[] mask = Numbers(key, value => value is 0 or 1, "0 or 1");
        if (mask.Length > 0 && !mask.Contains(1))
            Problem($"\"{key}\" is 0 everywhere. Expected 1 at each token of a text; remove the row.");
        return mask;
    }

    /// <summary>Whole numbers; none after a problem.</summary>
    /// <param name="key">The field.</param>
    /// <param name="isAllowed">Whether a number is valid.</param>
    /// <param name="expected">A description of valid numbers for messages.</param>
    public int[] Numbers(string key, Func<long, bool> isAllowed, string expected)
    {
        if (row[key] is not JsonArray list)
        {
            problems.Add(Wrong(key, "a list of whole numbers"));
            return [];
        }
        var numbers = new int[list.Count];
        int wrong = 0;
        string first = "";
        for (int i = 0; i < numbers.Length; i++)
        {
            if (list[i] is JsonValue value && value.TryGetValue(out long number) && number is >= int.MinValue
                and <= int.MaxValue && isAllowed(number))
                numbers[i] = (int)number;
            else if (wrong++ == 0) first = $"\"{key}\"[{i}] is {Row.Describe(list[i])}, expected {expected}";
        }
        if (wrong > 0) Problem(first + (wrong > 1 ? $" ({wrong - 1} more in this list are wrong)." : "."));
        return numbers;
    }

    public void ThrowIfWrong()
    {
        if (problems.Count > 0)
            throw new InputException("The row cannot be used:", problems);
    }
}
