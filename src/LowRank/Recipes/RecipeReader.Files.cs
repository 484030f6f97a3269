using LowRank.Data.Rows;
using LowRank.Hub;

namespace LowRank.Recipes;

// What a recipe names and is not there.
internal sealed partial class RecipeReader
{
    // Files are looked at when a run is prepared; a recipe that gets no further says at once which of them it lacks.
    private void ReportMissing(YamlSection root)
    {
        if (root.Texts("model") is [{ } model] && !Variable().IsMatch(model.Text)
            && HubRepository.TryParse(model.Text) is null && !Directory.Exists(Resolve(model)))
            problems.Add(model.Place, $"model is {model}, and there is no such folder");
        if (root.Child("data") is not { } data) return;
        foreach (string key in (string[])["train", "validation"])
            foreach (YamlValue file in (data.Texts(key) ?? [])
                .Where(file => !Variable().IsMatch(file.Text) && !Path.Exists(Resolve(file))
                && RowFiles.Missing([Resolve(file)]).Count > 0))
                problems.Add(file.Place, "data files that were not found",
                    () => $"data.{key}: {Resolve(file)} was not found");
    }
}
