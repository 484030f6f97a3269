using LowRank.Adapters.Operations;
using LowRank.Cli.Common;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>Shows how two adapters differ, for people and for programs.</summary>
internal static class DifferenceView
{
    public static IRenderable Table(AdapterDifference difference)
    {
        Table settings = new Table().Border(TableBorder.Simple).AddColumns("setting", "first", "second");
        foreach ((string key, string first, string second) in difference.Settings)
            settings.AddRow(
                Markup.Escape(Screen.Cell(key)), Markup.Escape(Screen.Cell(Short(first))),
                Markup.Escape(Screen.Cell(Short(second))));
        Table modules = new Table().Border(TableBorder.Simple)
            .AddColumns("module", "ranks", "norms", "difference", "cosine", "overlap");
        foreach (ModuleDifference module in difference.Modules)
            modules.AddRow(
                Markup.Escape(Screen.Cell(module.Path)), $"{Rank(module.FirstRank)}, {Rank(module.SecondRank)}",
                $"{module.FirstNorm:g3}, {module.SecondNorm:g3}",
                Number(module.Distance), Number(module.Cosine), Number(module.Overlap));
        return new Rows(difference.Settings.Count == 0 ? new Text("The settings are the same.") : settings, modules);
    }

    public static object Json(AdapterDifference difference) => new
    {
        settings = difference.Settings.Select(
            setting => new { key = setting.Key, first = setting.First, second = setting.Second }),
        modules = difference.Modules.Select(module => new
        {
            name = module.Path, ranks = new[] { module.FirstRank, module.SecondRank },
                norms = new[] { module.FirstNorm, module.SecondNorm },
            distance = module.Distance, cosine = module.Cosine, overlap = module.Overlap,
        }),
    };

    private static string Rank(int? rank) => rank is null ? "–" : $"{rank}";

    private static string Number(double? value) => value is null ? "–" : $"{value:g3}";

    private static string Short(string value) => value.Length <= 60 ? value : value[..60] + "…";
}
