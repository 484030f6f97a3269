using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Training;

namespace LowRank;

/// <summary>How rows are answered and measured.</summary>
public sealed record PredictionOptions
{
    /// <summary>Rows computed together; it changes the speed, not the result (but of the loss of embeddings, which
    /// compares the rows of a batch). Default: 16.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>Longest row in tokens, at least 2; what is beyond is cut off and noted. Default: null, what training
    /// used.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Most tokens of a text that is written, where answers are texts that the model writes; an error
    /// elsewhere. Default: null, 128.</summary>
    public int? MaxNewTokens { get; init; }

    /// <summary>The name of the model's own prompt that stands before each text to embed, such as query; an error for
    /// what embeds no text. Default: null, the model's default.</summary>
    public string? Prompt { get; init; }
}

/// <summary>A model's answer to a row.</summary>
/// <param name="Fields">What it says, by the names that <c>lowrank predict</c> writes.</param>
public sealed record Prediction(JsonObject Fields)
{
    /// <summary>The label (classification); null elsewhere.</summary>
    public string? Label => Text("label");

    /// <summary>How probable the label or the answer is, 0 to 1; null elsewhere.</summary>
    public double? Probability => Number(Fields["probability"]);

    /// <summary>How probable each label is; empty elsewhere.</summary>
    public IReadOnlyDictionary<string, double> Probabilities => Fields["probabilities"] is JsonObject all
        ? all.ToDictionary(one => one.Key, one => Number(one.Value)!.Value) : new Dictionary<string, double>();

    /// <summary>The number (regression); null elsewhere.</summary>
    public double? Score => Number(Fields["score"]);

    /// <summary>The answer (question answering), or the text that is written; null elsewhere.</summary>
    public string? Answer => Text("answer") ?? Text("text");

    // A number in memory is a float or a double, and is asked for by its own type.
    private static double? Number(JsonNode? value) => value is JsonValue number
        ? number.TryGetValue(out float single) ? single : number.GetValue<double>() : null;

    private string? Text(string name) =>
        Fields[name] is { } value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;
}

/// <summary>How probable a text is to a model.</summary>
/// <param name="LogLikelihood">The sum of its tokens' log-probabilities, in nats; of a completion given its prompt, of
/// the completion's tokens.</param>
/// <param name="Tokens">The tokens that it sums over.</param>
public sealed record TextScore(double LogLikelihood, int Tokens)
{
    /// <summary>exp of the mean negative log-likelihood per token.</summary>
    public double Perplexity => Math.Exp(-LogLikelihood / Tokens);
}

// Answering and measuring rows.
public sealed partial class LanguageModel
{
    /// <summary>Answers rows for the task of the adapter in use, or of the base: labels and probabilities, entities,
    /// answers, texts.</summary>
    /// <param name="rows">The rows, in the forms that training reads and read as training read its own; labels and
    /// answers are not needed.</param>
    /// <param name="prediction">How; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up after the current batch.</param>
    /// <returns>An answer per row, in their order.</returns>
    /// <exception cref="InputException">Rows cannot be used, or are to be left out (<see cref="Dataset.OnBadRow"/>,
    /// <see cref="Dataset.Deduplicate"/>): all problems at once.</exception>
    /// <example><code>
    /// foreach (Prediction answer in await model.PredictAsync(Dataset.FromTexts("A fine place.", "Never again.")))
    ///     Console.WriteLine($"{answer.Label} {answer.Probability:p0}");
    /// </code></example>
    public Task<IReadOnlyList<Prediction>> PredictAsync(
        Dataset rows, PredictionOptions? prediction = null, CancellationToken cancellationToken = default) =>
        Answer<IReadOnlyList<Prediction>>(rows, prediction, new(IsEach: true), (opened, source, settings, token) =>
        {
            List<Words> notes = [];
            ITask task = opened.Start(settings);
            RequireEffect(prediction, task is EmbeddingTask, task is IGeneratingTask);
            List<Prediction> answers = [];
            foreach (JsonObject answer in task.Predict(source, BatchSize(prediction), notes))
            {
                token.ThrowIfCancellationRequested();
                answers.Add(new Prediction(answer));
            }
            Tell(notes, (task as IGeneratingTask)?.GenerationNotes);
            return answers;
        }, cancellationToken);

    /// <summary>Turns texts into vectors: with an adapter for embeddings, a model of sentence-transformers, or by the
    /// mean of the base's states.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="prediction">How; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up after the current batch.</param>
    /// <returns>A vector per text, of the model's width.</returns>
    /// <exception cref="InputException">The adapter in use is for another task, or there is no text.</exception>
    public Task<IReadOnlyList<float[]>> EmbedAsync(
        IReadOnlyList<string> texts, PredictionOptions? prediction = null,
        CancellationToken cancellationToken = default) =>
        EmbedAsync(Dataset.FromTexts(texts), prediction, cancellationToken);

    /// <summary>Turns rows into vectors, as the texts of <see cref="EmbedAsync(IReadOnlyList{string},
    /// PredictionOptions?, CancellationToken)"/>.</summary>
    /// <param name="rows">Rows of <c>text</c>, or of <c>input_ids</c>.</param>
    /// <param name="prediction">How; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up after the current batch.</param>
    /// <returns>A vector per row, of the model's width.</returns>
    /// <exception cref="InputException">The adapter in use is for another task, or rows cannot be used.</exception>
    public Task<IReadOnlyList<float[]>> EmbedAsync(
        Dataset rows, PredictionOptions? prediction = null, CancellationToken cancellationToken = default) =>
        Answer<IReadOnlyList<float[]>>(rows, prediction,
            new(IsEach: true, TaskOptions.Embedding.Name), (opened, source, settings, token) =>
        {
            RequireEffect(prediction, embeds: true, writes: false);
            List<Words> notes = [];
            List<float[]> vectors = [];
            foreach (float[] vector in ((EmbeddingTask)opened.Start(settings)).Embed(
                source, BatchSize(prediction), notes))
            {
                token.ThrowIfCancellationRequested();
                vectors.Add(vector);
            }
            Tell(notes, null);
            return vectors;
        }, cancellationToken);

    /// <summary>How probable texts are to the model.</summary>
    /// <param name="rows">Texts, completions of prompts, or conversations, as training reads them
    /// (<see cref="Dataset.FromTexts"/>); what training would learn is scored, the token that ends a text
    /// included.</param>
    /// <param name="prediction">How; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up after the current batch.</param>
    /// <returns>A score per row, in their order.</returns>
    /// <exception cref="InputException">Rows cannot be used, are to be left out (<see cref="Dataset.OnBadRow"/>,
    /// <see cref="Dataset.Deduplicate"/>), or are longer than the model's context: all problems at once.</exception>
    /// <example><code>
    /// IReadOnlyList&lt;TextScore&gt; scores = await model.ScoreAsync(Dataset.From(
    ///     answers.Select(answer => new { prompt = question, completion = answer })));
    /// </code></example>
    public Task<IReadOnlyList<TextScore>> ScoreAsync(
        Dataset rows, PredictionOptions? prediction = null, CancellationToken cancellationToken = default) =>
        Answer<IReadOnlyList<TextScore>>(
            rows, prediction, new(IsEach: true) { HasAnswers = true }, (opened, source, _, token) =>
        {
            RequireEffect(prediction, embeds: false, writes: false);
            return Score(opened, source, BatchSize(prediction), prediction?.MaxLength, token);
        }, cancellationToken);

    /// <summary>Measures the model on rows with answers, for the task of the adapter in use, or of the base.</summary>
    /// <param name="rows">The rows, read as training read its own.</param>
    /// <param name="prediction">How; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up after the current batch.</param>
    /// <returns>The mean loss per label, in nats, and the task's metrics.</returns>
    /// <exception cref="InputException">Rows cannot be used: all problems at once.</exception>
    /// <exception cref="NonFiniteException">The loss is not finite: it says which row's, and where that
    /// began.</exception>
    public Task<EvaluationResult> EvaluateAsync(
        Dataset rows, PredictionOptions? prediction = null, CancellationToken cancellationToken = default) =>
        Answer(rows, prediction, new(IsEach: false) { HasAnswers = true }, (opened, source, settings, token) =>
        {
            ITask task = opened.Start(settings);
            RequireEffect(prediction, task is EmbeddingTask, writes: false);
            TaskData data = task.Read(source);
            Tell(data.Warnings, null);
            return Evaluation.RunFinite(task, data.Examples, BatchSize(prediction), 0, token);
        }, cancellationToken);

    // Answering has its own option for what training has too.
    private static readonly Wording AnsweringWords = new(setting =>
        setting.Path == KnownSettings.MaxLength.Path ? $"PredictionOptions.{nameof(PredictionOptions.MaxLength)}"
            : setting.Path == KnownSettings.MaxNewTokens.Path
            ? $"PredictionOptions.{nameof(PredictionOptions.MaxNewTokens)}" : AdaptationRecipe.Wording().Name(setting));

    private async Task<T> Answer<T>(
        Dataset rows, PredictionOptions? prediction, Question question,
        Func<OpenedModel, RowSource, Func<TaskSettings, TaskSettings>, CancellationToken, T> answer,
        CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ThrowIfDisposed();
        Check(rows, prediction, question.IsEach);
        IReadOnlyList<JsonObject>? held = await rows.Collect(cancellation).ConfigureAwait(false);
        return await Do(token =>
        {
            LoadedAdapter? used = question.Uses is { } uses ? uses() : adapter;
            if (question.Task is { } task && used is not null && used.Task != task)
                throw new InputException(
                    $"The adapter in use is for {used.Task}, not for {task}. Use another one, or the base alone.");
            OpenedModel opened = bases.UseWhole(used, used is null ? question.Task : null);
            if (prediction?.MaxLength is { } length && length > opened.Model.Network.MaxPositions)
                options.Logger.ModelWarning(
                    $"PredictionOptions.MaxLength {length} is lowered to {opened.Model.Network.MaxPositions}, the " +
                    "number of positions of the model.");
            AdapterData reading = opened.Opening.Data ?? new AdapterData();
            TaskSettings Settings(TaskSettings kept) => kept.WithMaxLength(prediction?.MaxLength) with
            {
                MaxNewTokens = prediction?.MaxNewTokens ?? kept.MaxNewTokens,
                Prompt = prediction?.Prompt,
            };
            RowSource source = rows.Source(reading.Rows(), !question.HasAnswers, held).With(token);
            return answer(opened, source, Settings, token);
        }, cancellation, AnsweringWords).ConfigureAwait(false);
    }

    private List<TextScore> Score(
        OpenedModel opened, RowSource source, int batchSize, int? maxLength, CancellationToken cancellation)
    {
        Decoder decoder = opened.RequireDecoder("Scoring texts");
        LoadedExamples loaded = ExampleLoader.Load(source, opened.Tokenizer, new ExampleOptions
        {
            MaxLength = int.MaxValue, // a part of a row would have another score than the whole
            VocabularySize = decoder.VocabularySize,
            TrainOn = opened.Opening.Settings.TrainOn,
        });
        RequireLength(loaded.Examples, Math.Min(maxLength ?? int.MaxValue, decoder.MaxPositions));
        Tell(loaded.Notes, loaded.Summary.Warnings);
        // A conversation may be several examples, one after the other.
        int[] rows = new int[loaded.Examples.Count];
        for (int i = 1; i < rows.Length; i++)
            rows[i] = rows[i - 1] + (loaded.Examples[i].Place == loaded.Examples[i - 1].Place ? 0 : 1);
        TextScore[] scores = [.. Enumerable.Repeat(new TextScore(0, 0), rows[^1] + 1)];
        foreach ((int Index, TokenizedExample Item)[] batch in
            loaded.Examples.Index().OrderByDescending(example => example.Item.Length).Chunk(batchSize))
        {
            cancellation.ThrowIfCancellationRequested();
            TokenizedExample[] examples = [.. batch.Select(example => example.Item)];
            foreach (((int index, TokenizedExample example), double loss) in
                batch.Zip(CausalLoss.ByRow(decoder, examples)))
            {
                TextScore before = scores[rows[index]];
                scores[rows[index]] =
                    new TextScore(before.LogLikelihood - loss, before.Tokens + example.PredictedLabels);
            }
        }
        return [.. scores];
    }

    private static void RequireLength(IReadOnlyList<TokenizedExample> examples, int longest)
    {
        const int Named = 10;
        TokenizedExample[] longer = [.. examples.Where(example => example.Length > longest)];
        if (longer.Length == 0) return;
        string places = string.Join(
            ", ", longer.Take(Named).Select(example => $"{example.Place} ({example.Length} tokens)"));
        throw new InputException(
            $"{(longer.Length == 1 ? "1 row is" : $"{longer.Length} rows are")} longer than {longest} tokens, and a " +
            $"part has another score than the whole: {places}{(longer.Length > Named ? ", …" : "")}. Shorten " +
            $"{(longer.Length == 1 ? "it" : "them")}.");
    }

    private static int BatchSize(PredictionOptions? prediction) => (prediction ?? new()).BatchSize;

    private static void Check(Dataset rows, PredictionOptions? prediction, bool isEach)
    {
        OptionProblems problems = new(nameof(PredictionOptions)), ofRows = rows.Problems(isEach);
        problems.RequireLeast(nameof(prediction.BatchSize), prediction?.BatchSize, 1);
        problems.RequireLeast(nameof(prediction.MaxLength), prediction?.MaxLength, 2);
        problems.RequireLeast(nameof(prediction.MaxNewTokens), prediction?.MaxNewTokens, 1);
        problems.ThrowIfAny(ofRows.All);
    }

    private static void RequireEffect(PredictionOptions? prediction, bool embeds, bool writes)
    {
        OptionProblems problems = new(nameof(PredictionOptions));
        problems.AddIf(prediction?.Prompt is not null && !embeds, nameof(prediction.Prompt),
            "has no effect here: no text is embedded. Leave it out.");
        problems.AddIf(prediction?.MaxNewTokens is not null && !writes, nameof(prediction.MaxNewTokens),
            "has no effect here: no text is written. Leave it out.");
        problems.ThrowIfAny();
    }

    private void Tell(IEnumerable<Words> notes, IEnumerable<Words>? late)
    {
        foreach (Words note in notes.Concat(late ?? [])) options.Logger.ModelNote(note.In(AnsweringWords));
    }

    /// <summary>What is asked of rows.</summary>
    /// <param name="IsEach">Whether each gets a result, so that none may be left out.</param>
    /// <param name="Task">The task that the base alone is used for; null for its own.</param>
    private sealed record Question(bool IsEach, string? Task = null)
    {
        /// <summary>Whether rows have answers.</summary>
        public bool HasAnswers { get; init; }

        /// <summary>The adapter to answer with; null for the one in use.</summary>
        public Func<LoadedAdapter?>? Uses { get; init; }
    }
}
