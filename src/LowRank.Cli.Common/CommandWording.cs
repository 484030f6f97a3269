using System.CommandLine;
using LowRank.Recipes;

namespace LowRank.Cli.Common;

/// <summary>How the command line words problems: a setting is an option of the command if it has one, else a recipe's
/// key.</summary>
public static class CommandWording
{
    /// <summary>The wording of a command's errors.</summary>
    /// <param name="command">The command; null outside of any.</param>
    public static Wording Of(Command? command)
    {
        var options = (command?.Options ?? []).Select(option => option.Name).ToHashSet(StringComparer.Ordinal);
        return new Wording(setting => Name(setting, options));
    }

    private static string? Name(Setting setting, HashSet<string> options)
    {
        string last = setting.Path[(setting.Path.LastIndexOf('.') + 1)..];
        if (setting.Path.StartsWith("command.", StringComparison.Ordinal)) return $"'lowrank {last}'";
        if (setting.Path == "chat.clear") return "/clear";
        string option = "--" + last.Replace('_', '-');
        if (!options.Contains(option)) return Recipe.Wording.Name(setting);
        return setting.Value is not { } value ? option
            : setting.Path == "data.columns" ? $"{option} {value}=COLUMN" : $"{option} {value}";
    }
}
