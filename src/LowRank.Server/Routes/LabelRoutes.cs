using System.Text.Json.Nodes;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using LowRank.Server.Writing;
using Microsoft.AspNetCore.Routing;

namespace LowRank.Server.Routes;

/// <summary>POST /v1/classify, /v1/rerank and /v1/score.</summary>
internal static class LabelRoutes
{
    public static void Map(IEndpointRouteBuilder routes, Api api)
    {
        api.Post(routes, "/v1/classify", Classify);
        api.Post(routes, "/v1/rerank", Rerank);
        api.Post(routes, "/v1/score", Score);
    }

    private static async Task Classify(Call call)
    {
        call.Fields.Accept("user");
        (string model, string? adapter) = TextFields.ReadModel(call);
        InputTexts texts = InputTexts.Read(call, "input", pairs: true);
        call.Fields.End();
        PredictionOptions options = InputTexts.Options(call);
        List<Prediction> answers = await texts.Each(call, adapter, (rows, task) =>
            ServedModel.GivesLabels(task)
                ? call.Served.Model.PredictAsync(rows, options, call.Left) : throw ApiException.Invalid(
                $"{model} gives no labels: its task is {task}.", "model", "unsupported_model"))
            .ConfigureAwait(false);
        List<JsonObject> data = [];
        foreach ((int index, Prediction answer) in answers.Index())
        {
            var entry = new JsonObject { ["index"] = index };
            foreach ((string name, JsonNode? value) in answer.Fields) entry[name] = value?.DeepClone();
            data.Add(entry);
        }
        call.Took = (model, texts.Tokens, 0);
        await call.Answer(new ClassifyAnswer(Call.NewId("classify-"), "list", call.Created, model, data,
            new InputUsage(texts.Tokens, texts.Tokens)), ServerJson.Own.ClassifyAnswer).ConfigureAwait(false);
    }

    private static async Task Rerank(Call call)
    {
        RequestFields fields = call.Fields;
        fields.Accept("user");
        (string model, string? adapter) = TextFields.ReadModel(call);
        string query = fields.RequiredText("query");
        if (fields.Has("query") && string.IsNullOrWhiteSpace(query)) fields.Problem("query", "is empty");
        fields.Require("documents");
        IReadOnlyList<string> documents = Documents(call);
        int? most = fields.Count("top_n", 1);
        bool withTexts = fields.Flag("return_documents") ?? true;
        if (fields.Has("documents") && documents.Any(string.IsNullOrWhiteSpace))
            fields.Problem("documents", "has an empty text");
        fields.ThrowIfAny();
        (double[] scores, int tokens) = await Scores(
            call, adapter, "documents", [.. documents.Select(text => (query, text))]).ConfigureAwait(false);
        call.Took = (model, tokens, 0);
        IEnumerable<RankedDocument> ranked = scores.Index().OrderByDescending(score => score.Item)
            .ThenBy(score => score.Index).Take(most ?? documents.Count).Select(score =>
                new RankedDocument(score.Index, score.Item)
                {
                    Document = withTexts ? new DocumentText(documents[score.Index]) : null,
                });
        await call.Answer(new RerankAnswer(Call.NewId("rerank-"), model, new InputUsage(tokens, tokens), [.. ranked]),
            ServerJson.Own.RerankAnswer).ConfigureAwait(false);
    }

    private static IReadOnlyList<string> Documents(Call call)
    {
        RequestFields fields = call.Fields;
        if (fields.Any("documents") is not { ValueKind: System.Text.Json.JsonValueKind.Array } list
            || list.GetArrayLength() == 0 || list[0].ValueKind != System.Text.Json.JsonValueKind.Object)
        {
            IReadOnlyList<string> texts = fields.Texts("documents", call.Limits.Inputs) ?? [];
            if (texts.Count == 0 && fields.Has("documents"))
                fields.Problem("documents", "is empty, expected one text at least");
            return texts;
        }
        List<string> found = [];
        foreach (RequestFields document in fields.Objects("documents", call.Limits.Inputs) ?? [])
        {
            found.Add(document.RequiredText("text"));
            document.RefuseOthers();
        }
        return found;
    }

    // vLLM's interface: each text_2 is scored with its text_1, or with the only one.
    private static async Task Score(Call call)
    {
        RequestFields fields = call.Fields;
        fields.Accept("user");
        (string model, string? adapter) = TextFields.ReadModel(call);
        IReadOnlyList<string> first = Texts(call, "text_1"), second = Texts(call, "text_2");
        if (first.Count > 1 && first.Count != second.Count)
            fields.Problem("text_1", string.Create(System.Globalization.CultureInfo.InvariantCulture,
                $"has {first.Count} texts and \"text_2\" has {second.Count}; expected one text, or as many"));
        fields.ThrowIfAny();
        (double[] scores, int tokens) = await Scores(call, adapter, "text_2",
            [.. second.Select((text, i) => (first[first.Count == 1 ? 0 : i], text))]).ConfigureAwait(false);
        call.Took = (model, tokens, 0);
        await call.Answer(new ScoreAnswer(Call.NewId("score-"), "list", call.Created, model,
            [.. scores.Select((score, i) => new ScoreEntry(i, "score", score))], new InputUsage(tokens, tokens)),
            ServerJson.Own.ScoreAnswer).ConfigureAwait(false);
    }

    private static IReadOnlyList<string> Texts(Call call, string name)
    {
        call.Fields.Require(name);
        IReadOnlyList<string> texts = call.Fields.Any(name) is { ValueKind: System.Text.Json.JsonValueKind.String }
            ? [call.Fields.RequiredText(name)] : call.Fields.Texts(name, call.Limits.Inputs) ?? [];
        if (call.Fields.Has(name) && (texts.Count == 0 || texts.Any(string.IsNullOrWhiteSpace)))
            call.Fields.Problem(name, "is empty or has an empty text, expected one text at least");
        return texts;
    }

    // By a reward model; by a classifier of pairs with one score; by the cosine of vectors for models that embed.
    private static async Task<(double[] Scores, int Tokens)> Scores(
        Call call, string? adapter, string field, IReadOnlyList<(string First, string Second)> pairs)
    {
        string task = call.Served.TaskOf(adapter);
        bool isReward = task == TaskOptions.Reward.Name;
        if (!isReward && task != TaskOptions.SequenceClassification.Name)
            return await Cosines(call, adapter, field, pairs).ConfigureAwait(false);
        InputTexts texts = InputTexts.Of(call, field, [.. pairs.Select(pair => isReward
            ? new JsonObject { ["prompt"] = pair.First, ["completion"] = pair.Second }
            : new JsonObject { ["text"] = pair.First, ["text_pair"] = pair.Second })]);
        call.Fields.End();
        PredictionOptions options = InputTexts.Options(call);
        List<Prediction> answers = await texts.Each(call, adapter, (rows, _) =>
            call.Served.Model.PredictAsync(rows, options, call.Left)).ConfigureAwait(false);
        return ([.. answers.Select(answer => answer.Score ?? throw ApiException.Invalid(
            "The model labels texts; this needs one that gives a score to a pair of texts, or that embeds.",
            "model", "unsupported_model"))], texts.Tokens);
    }

    // Texts that occur more than once, such as a query, are embedded once.
    private static async Task<(double[] Scores, int Tokens)> Cosines(
        Call call, string? adapter, string field, IReadOnlyList<(string First, string Second)> pairs)
    {
        string[] distinct = [.. pairs.SelectMany(pair => new[] { pair.First, pair.Second }).Distinct()];
        Dictionary<string, int> at = distinct.Index().ToDictionary(text => text.Item, text => text.Index);
        InputTexts texts = InputTexts.Of(call, field, [.. distinct.Select(text => new JsonObject { ["text"] = text })]);
        call.Fields.End();
        List<float[]> vectors = await EmbeddingRoutes.Embed(call, adapter, texts, null).ConfigureAwait(false);
        return ([.. pairs.Select(pair => Product(vectors[at[pair.First]], vectors[at[pair.Second]]))], texts.Tokens);
    }

    private static double Product(float[] one, float[] other)
    {
        double sum = 0;
        for (int i = 0; i < one.Length; i++) sum += (double)one[i] * other[i];
        return sum;
    }
}
