using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LowRank.Jinja;

namespace LowRank.Data.Rows;

/// <summary>The user's own words around a row's fields: Jinja, as chat templates are, with the fields as variables.</summary>
/// <remarks>One of three shapes: a text; a prompt with its completion; what the user and the assistant say (and the system),
/// which the model's chat template then writes.</remarks>
public sealed partial class RowTemplate
{
    private static readonly string[] Shapes = ["text", "prompt", "completion", "system", "user", "assistant"];
    private static readonly string[] Replaced = ["text", "prompt", "completion", "messages"];

    private readonly List<(string Key, JinjaTemplate Template, IReadOnlyList<string> Names)> parts = [];

    /// <summary>Parses a template.</summary>
    /// <param name="sources">By key: text; or prompt and completion; or user, assistant and perhaps system.</param>
    /// <exception cref="InputException">The keys are no shape, or a part is no Jinja.</exception>
    public RowTemplate(IReadOnlyDictionary<string, string> sources)
    {
        Sources = new Dictionary<string, string>(sources);
        bool Is(params string[] keys) => keys.ToHashSet().SetEquals(Sources.Keys);
        if (!(Is("text") || Is("prompt", "completion") || Is("user", "assistant") || Is("system", "user", "assistant")))
            throw new InputException($"data.template has {(Sources.Count == 0 ? "no keys" : string.Join(", ", Sources.Keys.Order(StringComparer.Ordinal)))}; expected text, or prompt and completion, or user and assistant (and perhaps system).");
        foreach (string key in Shapes.Where(Sources.ContainsKey)) parts.Add((key, Parse(key, Sources[key]), Names(Sources[key])));
    }

    /// <summary>The parts as they were given.</summary>
    public IReadOnlyDictionary<string, string> Sources { get; }

    /// <summary>The row with what the template writes in place of its texts; further fields stay.</summary>
    /// <exception cref="InputException">The row lacks a field that the template names, or the template refuses it; without its place.</exception>
    internal JsonObject Apply(JsonObject row)
    {
        string[] missing = [.. parts.SelectMany(part => part.Names).Distinct().Where(name => !row.ContainsKey(name))];
        if (missing.Length > 0)
            throw new InputException($"the row has no \"{string.Join("\", \"", missing)}\", which data.template names; it has {string.Join(", ", row.Select(field => $"\"{field.Key}\""))}.");
        Dictionary<string, string> written = parts.ToDictionary(part => part.Key, part => Render(part.Key, part.Template, row));
        foreach (string key in Replaced) row.Remove(key);
        if (!written.ContainsKey("user")) foreach ((string key, string words) in written) row[key] = words;
        else row["messages"] = new JsonArray([.. written.Select(turn => new JsonObject { ["role"] = turn.Key, ["content"] = turn.Value })]);
        return row;
    }

    private string Render(string key, JinjaTemplate template, JsonObject row)
    {
        try
        {
            // Jinja takes the line break at the end of a source away. Here the user wrote it for the model to see.
            return template.Render(row).Text + (Sources[key].EndsWith('\n') ? "\n" : "");
        }
        catch (TemplateException fault)
        {
            throw new InputException($"data.template.{key} failed at {fault.Message}.", fault);
        }
    }

    private static JinjaTemplate Parse(string key, string source)
    {
        try
        {
            return JinjaTemplate.Parse(source);
        }
        catch (TemplateException fault)
        {
            throw new InputException($"data.template.{key} cannot be used: {fault.Message}.", fault);
        }
    }

    // Jinja writes nothing for a name it does not know. A column that is misspelled would leave a hole in every row.
    private static string[] Names(string source)
    {
        var made = Made().Matches(source).SelectMany(match => match.Groups["name"].Captures).Select(capture => capture.Value).ToHashSet();
        // A name before a bracket is a function.
        return [.. Printed().Matches(source).Where(match => match.Groups["rest"].Value.TrimStart() is var rest && !rest.StartsWith('(') && !rest.Contains("default", StringComparison.Ordinal))
            .Select(match => match.Groups["name"].Value).Where(name => !made.Contains(name) && name is not ("loop" or "true" or "false" or "none" or "not")).Distinct()];
    }

    [GeneratedRegex(@"\{\{-?\s*(?<name>[A-Za-z_]\w*)(?<rest>[^}]*)\}\}", RegexOptions.ExplicitCapture)]
    private static partial Regex Printed();

    [GeneratedRegex(@"\{%-?\s*(set|macro)\s+(?<name>\w+)|\{%-?\s*for\s+(?<name>\w+)(\s*,\s*(?<name>\w+))*\s+in", RegexOptions.ExplicitCapture)]
    private static partial Regex Made();
}
