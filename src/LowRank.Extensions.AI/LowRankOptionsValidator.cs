using LowRank.Adapters;
using LowRank.Hub;
using LowRank.IO;
using Microsoft.Extensions.Options;

namespace LowRank.Extensions.AI;

/// <summary>Finds what can be found wrong with options before a weight is read.</summary>
internal sealed class LowRankOptionsValidator : IValidateOptions<LowRankOptions>
{
    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, LowRankOptions options)
    {
        List<string> problems = [];
        if (string.IsNullOrWhiteSpace(options.Model))
            problems.Add("LowRankOptions.Model is empty, expected the folder of a model or its name on the Hub.");
        else if (Missing(options.Model, "config.json") is { } wrong)
            problems.Add($"LowRankOptions.Model is {options.Model}: {wrong}");
        foreach ((string adapter, string folder) in options.Adapters)
        {
            string place = $"LowRankOptions.Adapters[\"{adapter}\"]";
            if (string.IsNullOrWhiteSpace(adapter)) problems.Add($"{place} has no name, expected one.");
            else if (adapter == LowRankOptions.NameOf(options.Model))
                problems.Add($"{place} has the base's name, expected another one.");
            if (string.IsNullOrWhiteSpace(folder)) problems.Add($"{place} is empty, expected a folder.");
            else if (Missing(folder, AdapterConfig.FileName) is { } fault)
                problems.Add($"{place} is {folder}: {fault}");
        }
        Collect(problems, nameof(options.Opening), options.Opening, opening => opening.Validate());
        Collect(problems, nameof(options.Serving), options.Serving, serving => serving.Validate());
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    // A repository of the Hub is asked for when the model is loaded.
    private static string? Missing(string path, string file)
    {
        string folder = EmbeddedFiles.Resolve(path);
        return File.Exists(Path.Combine(folder, file)) ? null
            : Directory.Exists(folder) ? $"the folder has no {file}."
            : HubRepository.TryParse(path) is not null && !Path.IsPathRooted(path) ? null
            : $"there is no such folder (looked for {Path.GetFullPath(folder)}), and it is no name on the Hub.";
    }

    private static void Collect<T>(List<string> problems, string option, T? value, Action<T> validate) where T : class
    {
        if (value is null)
        {
            problems.Add($"LowRankOptions.{option} is null. Leave it out for its default.");
            return;
        }
        try
        {
            validate(value);
        }
        catch (InputException e)
        {
            problems.AddRange(e.Problems);
        }
    }
}
