using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LowRank.Jinja;

namespace LowRank.Data.Rows;

/// <summary>The user's own template for a row: Jinja, like chat templates, with the row's fields as
/// variables.</summary>
/// <remarks>It has one of three shapes: a text; a prompt with its completion; or the messages of user, assistant and
/// optionally system, which the model's chat template then renders.</remarks>
public sealed partial class RowTemplate
{
    private static readonly string[] Shapes = ["text", "prompt", "completion", "system", "user", "assistant"];
    private static readonly string[] Replaced = ["text", "prompt", "completion", "messages"];

    private readonly List<(string Key, JinjaTemplate Template, IReadOnlyList<string> Names)> parts = [];

    /// <summary>Parses a template.</summary>
    /// <param name="sources">The parts by key: text; or prompt and completion; or user, assistant and optionally
    /// system.</param>
    /// <exception cref="InputException">The keys form no valid shape, or a part is not valid Jinja.</exception>
    public RowTemplate(IReadOnlyDictionary<string, string> sources)
    {
        Sources = new Dictionary<string, string>(sources);
        bool Is(params string[] keys) => keys.ToHashSet().SetEquals(Sources.Keys);
        if (!(Is("text") || Is("prompt", "completion") || Is("user", "assistant") || Is("system", "user", "assistant")))
            throw new InputException(
                $"{KnownSettings.Template} has " +
                $"{(Sources.Count == 0 ? "no keys" : string.Join(", ",
                    Sources.Keys.Order(StringComparer.Ordinal)))}; expected text, or prompt and completion, " +
                $"or user and assistant (and perhaps system).");
        foreach (string key in Shapes.Where(Sources.ContainsKey))
            parts.Add((key, Parse(key, Sources[key]), Names(Sources[key])));
    }

    /// <summary>The parts, as given.</summary>
    public IReadOnlyDictionary<string, string> Sources { get; }

    /// <summary>Replaces the row's texts with the template's output; other fields stay.</summary>
    /// <param name="row">The row; may be changed.</param>
    /// <param name="unanswered">Whether fields that only the answer needs may be missing.</param>
    /// <exception cref="InputException">The row lacks a field that the template names, or the template refuses the row;
    /// the message does not contain its place.</exception>
    internal JsonObject Apply(JsonObject row, bool unanswered = false)
    {
        // For a row to predict, the answer is rendered only if the row has it.
        var needed = parts.Where(part => !unanswered || part.Key is not ("completion" or "assistant")
            || part.Names.All(name => Has(row, name))).ToList();
        string[] missing = [.. needed.SelectMany(part => part.Names).Distinct().Where(name => !Has(row, name))];
        if (missing.Length > 0)
            throw new InputException(
                $"the row has no \"{string.Join("\", \"", missing)}\", which {KnownSettings.Template} names; columns " +
                $"found: {Row.Columns(row)}. Where it may be missing, write {{{{ {missing[0]} | default(\"\") }}}}.");
        Dictionary<string, string> written =
            needed.ToDictionary(part => part.Key, part => Render(part.Key, part.Template, row));
        foreach (string key in Replaced) row.Remove(key);
        if (!written.ContainsKey("user")) foreach ((string key, string words) in written) row[key] = words;
        else
            row["messages"] =
                new JsonArray(
                    [.. written.Select(turn => new JsonObject { ["role"] = turn.Key, ["content"] = turn.Value })]);
        return row;
    }

    private string Render(string key, JinjaTemplate template, JsonObject row)
    {
        try
        {
            // Jinja drops a line break at the end of a source. Here the user wants the model to see it.
            return template.Render(row).Text + (Sources[key].EndsWith('\n') ? "\n" : "");
        }
        catch (TemplateException fault)
        {
            throw new InputException($"{Part(key)} failed at {fault.Message}.", fault);
        }
    }

    private static Setting Part(string key) =>
        new($"{KnownSettings.Template.Path}.{key}", $"the template's {key}");

    private static JinjaTemplate Parse(string key, string source)
    {
        try
        {
            return JinjaTemplate.Parse(source);
        }
        catch (TemplateException fault)
        {
            throw new InputException($"{Part(key)} cannot be used: {fault.Message}.", fault);
        }
    }

    // Jinja prints nothing for an unknown name. A misspelled column would leave a gap in every row.
    private static string[] Names(string source)
    {
        var made = Made().Matches(source).SelectMany(match => match.Groups["name"].Captures)
            .Select(capture => capture.Value).ToHashSet();
        return [.. Printed().Matches(source)
            .Where(match => !match.Groups["rest"].Value.Contains("default", StringComparison.Ordinal)).Select(Field)
            .Where(name => name.Length > 0 && !made.Contains(name.Split('.')[0])
            && name.Split('.')[0] is not ("loop" or "true" or "false" or "none" or "not")).Distinct()];
    }

    // A name before a parenthesis is a function.
    private static string Field(Match match)
    {
        string name = match.Groups["name"].Value + match.Groups["path"].Value;
        return !match.Groups["rest"].Value.TrimStart().StartsWith('(') ? name : name.LastIndexOf('.') is > 0 and var dot
            ? name[..dot] : "";
    }

    // Only objects are checked: a text has members of its own.
    private static bool Has(JsonObject row, string path)
    {
        JsonNode? value = row;
        foreach (string name in path.Split('.'))
        {
            if (value is not JsonObject fields) return true;
            if (!fields.TryGetPropertyValue(name, out value)) return false;
        }
        return true;
    }

    [GeneratedRegex(
        @"\{\{-?\s*(?<name>[A-Za-z_]\w*)(?<path>(\.[A-Za-z_]\w*)*)(?<rest>[^}]*)\}\}", RegexOptions.ExplicitCapture)]
    private static partial Regex Printed();

    [GeneratedRegex(@"\{%-?\s*(set|macro)\s+(?<name>\w+)|\{%-?\s*for\s+(?<name>\w+)(\s*,\s*(?<name>\w+))*\s+in",
        RegexOptions.ExplicitCapture)]
    private static partial Regex Made();
}
