using System.CommandLine;
using System.Reflection;
using LowRank.Cli.Common;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank schema</c>.</summary>
internal sealed class SchemaCommand : ICliCommand
{
    private const string Resource = "LowRank.Cli.recipe.schema.json";

    public string Example => "lowrank schema > recipe.schema.json";

    public Command Build() =>
        new Command("schema",
            "Print the JSON Schema of recipes, which lets editors complete keys: write '# yaml-language-server: " +
            "$schema=recipe.schema.json' on a recipe's first line.")
            .Does(_ => Console.Write(Text()));

    /// <summary>The schema.</summary>
    public static string Text()
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Resource)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
