using System.Text.Json.Nodes;

namespace LowRank.Data.Forms;

/// <summary>Reads the fields of a row, and notes each that is wrong.</summary>
internal sealed class RowFields(JsonObject row)
{
    private readonly List<string> problems = [];

    /// <summary>Whether nothing is wrong so far.</summary>
    public bool AreRight => problems.Count == 0;

    public void Problem(string problem) => problems.Add(problem);

    /// <summary>A text that is not empty; "" after a problem.</summary>
    public string FilledText(string key, string whenEmpty)
    {
        string text = AnyText(key, out bool isText);
        if (isText && text.Length == 0) problems.Add($"\"{key}\" is empty. {whenEmpty}");
        return text;
    }

    /// <summary>A text; "" after a problem.</summary>
    public string AnyText(string key) => AnyText(key, out _);

    private string AnyText(string key, out bool isText)
    {
        isText = Sample.AsText(row[key]) is not null;
        if (!isText) problems.Add(Wrong(key, "a text"));
        return Sample.AsText(row[key]) ?? "";
    }

    /// <summary>What is wrong with a field that is absent or no such value.</summary>
    public string Wrong(string key, string expected) => row.ContainsKey(key) ? $"\"{key}\" is {Sample.Describe(row[key])}, expected {expected}." : Sample.Lacks(row, key);

    /// <summary>Ones for tokens and zeros for padding among them; a text of padding alone is a problem.</summary>
    public int[] Mask(string key)
    {
        int[] mask = Numbers(key, value => value is 0 or 1, "0 or 1");
        if (mask.Length > 0 && !mask.Contains(1)) problems.Add($"\"{key}\" is 0 everywhere. Expected 1 at each token of a text; remove the row.");
        return mask;
    }

    /// <summary>Whole numbers; none after a problem.</summary>
    /// <param name="key">The field.</param>
    /// <param name="isAllowed">Which numbers are.</param>
    /// <param name="expected">What messages call them.</param>
    public int[] Numbers(string key, Func<long, bool> isAllowed, string expected)
    {
        if (row[key] is not JsonArray list)
        {
            problems.Add(Wrong(key, "a list of whole numbers"));
            return [];
        }
        var numbers = new int[list.Count];
        int wrong = 0;
        for (int i = 0; i < numbers.Length; i++)
        {
            if (list[i] is JsonValue value && value.TryGetValue(out long number) && number is >= int.MinValue and <= int.MaxValue && isAllowed(number))
                numbers[i] = (int)number;
            else if (wrong++ == 0)
                problems.Add($"\"{key}\"[{i}] is {Sample.Describe(list[i])}, expected {expected}.");
        }
        if (wrong > 1) problems[^1] = problems[^1].TrimEnd('.') + $" ({wrong - 1} more in this list are wrong).";
        return numbers;
    }

    public void ThrowIfWrong()
    {
        if (problems.Count > 0) throw new InputException("The row cannot be used:", problems);
    }
}
