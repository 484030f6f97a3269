using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Serving;

/// <summary>Which texts are computed in the next step, and the step itself. Belongs to the model's thread.</summary>
/// <remarks>Continuous batching (Orca, OSDI 2022) over paged keys and values (arXiv 2309.06180): texts join and leave
/// between two steps, and prompts are read in parts beside texts that are written (arXiv 2308.16369).</remarks>
internal sealed class Scheduler : IDisposable
{
    private const int MostWait = 5; // milliseconds

    private readonly Decoder model;
    private readonly ServingOptions options;
    private readonly AdapterStore adapters;
    private readonly KeyValuePages pages;
    private readonly PrefixPages prefixes;
    private readonly AdapterRows rows = new();
    private readonly ServingMetrics metrics;
    private readonly Action<ServingText> ended;
    private readonly LinkedList<ServingText> waiting = [];
    private readonly List<ServingText> running = []; // in the order in which they were admitted
    private readonly float[] workspace;
    private float[] logits = [];
    private readonly int pageCount;

    private bool isHeldUp; // nothing could be begun, because files are read

    public Scheduler(
        Decoder model, ServingOptions options, AdapterStore adapters, int pageCount, ServingMetrics metrics,
        Action<ServingText> ended)
    {
        (this.model, this.options, this.adapters, this.metrics, this.ended, this.pageCount) =
            (model, options, adapters, metrics, ended, pageCount);
        pages = model.NewPages(pageCount);
        prefixes = new PrefixPages(pages);
        workspace = new float[model.VocabularySize];
    }

    public int Running => running.Count;

    public int Waiting => waiting.Count;

    /// <summary>Tokens of the prompts that wait.</summary>
    public long WaitingTokens { get; private set; }

    /// <summary>Share of the pages that texts under way hold.</summary>
    public double Usage => (double)(pages.InUse - prefixes.Idle) / pageCount;

    /// <summary>Bytes of all pages that have memory.</summary>
    public long CacheBytes => pages.Held * pages.PageBytes;

    public long CacheQueries { get; private set; }

    public long CacheHits { get; private set; }

    public long PromptTokens { get; private set; }

    public long NewTokens { get; private set; }

    public long Steps { get; private set; }

    /// <summary>Whether there is anything to do before an adapter's files have been read, a text is added, or one is
    /// left.</summary>
    public bool HasWork => running.Count > 0 || (waiting.Count > 0 && !isHeldUp);

    /// <summary>Adds a text to those that wait.</summary>
    public void Add(ServingText text)
    {
        waiting.AddLast(text);
        WaitingTokens += text.Tokens.Count;
    }

    /// <summary>Computes one step: at most a token of each text that is written, and parts of prompts.</summary>
    public void Step()
    {
        try
        {
            DropLeft();
            Admit();
            List<(ServingText Text, int Count)> plan = Plan();
            if (plan.Count > 0) Compute(plan);
            else WaitForConstraint();
        }
        catch (Exception failure)
        {
            // What the step has done to its texts is not known; others are not touched.
            foreach (ServingText text in running.ToList()) Fail(text, failure);
        }
    }

    /// <summary>Ends all texts.</summary>
    public void FailAll(Exception failure)
    {
        foreach (ServingText text in running.Concat(waiting).ToList()) Fail(text, failure);
    }

    /// <summary>Gives back the memory of pages that no text uses, with the beginnings of texts that are kept in
    /// them.</summary>
    public void Rest()
    {
        prefixes.Clear();
        pages.Trim();
        logits = [];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        prefixes.Clear();
        pages.Dispose();
    }

    private void DropLeft()
    {
        foreach (ServingText text in running.Concat(waiting).Where(text => text.Work.IsLeft).ToList())
            Leave(text, null, "abort");
    }

    // In the order in which they came; only those whose adapters are not in memory are passed by others.
    private void Admit()
    {
        ServingWork? first = null; // whose adapters have no room
        for (LinkedListNode<ServingText>? node = waiting.First, after;
            node is not null && running.Count < options.MaxBatch; node = after)
        {
            ServingText next = node.Value;
            after = node.Next;
            if (next.Work.IsLeft) continue;
            // The other texts of a request wait until the first one has read the prompt, which they share; those of
            // other requests do not.
            if (next.Index > 0 && running.Any(text => text.Work == next.Work && text is { Index: 0, Written: 0 }))
                continue;
            if (running.Count > 0 && !HasRoom(next)) return;
            if (!Place(next, ref first)) continue;
            waiting.Remove(node);
            WaitingTokens -= next.Tokens.Count;
            // The last token is always read, because the next one is chosen from its state.
            running.Add(next);
            Begin(next);
            if (next.Admitted == 0) metrics.Admitted(next);
        }
        isHeldUp = running.Count == 0 && adapters.IsReading;
        // Where nothing is under way, each of those that wait may hold what was removed, and want another's room.
        if (first is not null && running.Count == 0 && !isHeldUp) adapters.TakeRoom(first.Adapters);
    }

    // Whether a text's adapters are in memory. Where there is no room for those of one, later texts load none, and use
    // those that are there only as often as a batch has texts: until then one comes free.
    private bool Place(ServingText text, ref ServingWork? first)
    {
        ServingWork work = text.Work;
        if (work.IsPlaced) return true;
        bool hasAdapters = work.Adapters.Entries.Count > 0;
        // Who uses one that was removed ends its use: it goes first, because what waits for that room cannot.
        bool endsUse = work.Adapters.Entries.Any(entry => entry.IsRemoved);
        if (first?.Passed >= options.MaxBatch && hasAdapters && !endsUse) return false;
        try
        {
            AdapterPlace place = adapters.Place(work.Adapters, mayLoad: first is null || endsUse);
            if (place == AdapterPlace.NoRoom) first ??= work;
            if (place != AdapterPlace.InMemory) return false;
        }
        catch (Exception failure) // of this request alone
        {
            Fail(text, failure);
            return false;
        }
        work.IsPlaced = true;
        if (first is not null && hasAdapters) first.Passed++;
        return true;
    }

    // Whether there are pages for the next token of each text, and for all of this one's.
    private bool HasRoom(ServingText next)
    {
        int room = pageCount - pages.InUse + prefixes.Idle - KeyValuePages.PagesFor(next.Tokens.Count + 1)
            - running.Sum(text => KeyValuePages.PagesFor(text.Tokens.Count + 1) - text.Pages.Count);
        return room >= 0 || (!next.IsScored && room + prefixes.CountUsed(
            next.Work.Adapters.Content, next.Tokens, next.Tokens.Count - 1) >= 0);
    }

    private void Begin(ServingText text)
    {
        // A prompt that is scored is read again, for the logits of its tokens.
        if (!text.IsScored)
            text.Shared.AddRange(prefixes.Find(text.Work.Adapters.Content, text.Tokens, text.Tokens.Count - 1));
        text.Pages.AddRange(text.Shared.Select(page => page.Page));
        text.Computed = text.Pages.Count * KeyValuePages.PageLength;
        if (text.Written > 0) return; // it was interrupted
        CacheQueries += text.Tokens.Count;
        CacheHits += text.Computed;
        if (text.Index == 0) text.Work.Output.CountCached(text.Computed);
    }

    // For each text the number of tokens that the step reads.
    private List<(ServingText Text, int Count)> Plan()
    {
        List<(ServingText Text, int Count)> plan = [];
        // Who waits for what may follow in a text does not hold up the others.
        ServingText[] ready = [.. running.ToArray().Where(IsReady)];
        foreach (ServingText text in ready.Where(text => !text.IsReading))
        {
            if (!running.Contains(text)) continue; // interrupted by an earlier one
            if (CanRead(text, Following)) plan.Add((text, 1 + text.Guessed.Length));
        }
        foreach ((ServingText text, int count) in Parts(ready))
            if (running.Contains(text) && CanRead(text, _ => count)) plan.Add((text, count));
        plan.RemoveAll(one => !running.Contains(one.Text)); // interrupted by a later one
        return plan;
    }

    private bool IsReady(ServingText text) => Succeeds(text, () => Preparing(text).IsCompleted);

    private bool CanRead(ServingText text, Func<ServingText, int> count) =>
        Succeeds(text, () => TakePages(text, count(text)));

    // The token that is not read yet, and those that are guessed to follow.
    private int Following(ServingText text)
    {
        text.Guessed = options.PromptLookup ? Guess(text) : [];
        return 1 + text.Guessed.Length;
    }

    // What goes wrong with a text ends it alone: the others go on.
    private bool Succeeds(ServingText text, Func<bool> work)
    {
        try
        {
            return work();
        }
        catch (Exception failure) when (running.Contains(text))
        {
            Fail(text, failure);
            return false;
        }
    }

    // The parts of prompts that the step reads. Half of the tokens are the first prompt's, so that it comes to its end;
    // then those with the fewest tokens left come first, so that a short prompt does not wait for a long one.
    private List<(ServingText Text, int Count)> Parts(ServingText[] ready)
    {
        List<(ServingText Text, int Count)> parts = [];
        ServingText[] reading = [.. ready.Where(text => text.IsReading)];
        int own = reading.Length == 0 ? 0
            : Math.Min(reading[0].Unread, options.ChunkTokens - options.ChunkTokens / 2),
            left = options.ChunkTokens - own;
        foreach (ServingText text in reading.OrderBy(text => text.Unread))
        {
            int kept = text == reading[0] ? own : 0, count = Math.Min(text.Unread, kept + left);
            left -= count - kept;
            if (count > 0) parts.Add((text, count));
        }
        return parts;
    }

    // Where no text can go on before it is known what may follow in it; not for long, so that requests that come and
    // other callers of the model get their turn.
    private void WaitForConstraint()
    {
        Task[] open = [.. running.Select(Preparing).Where(task => !task.IsCompleted)];
        if (open.Length > 0) Task.WaitAny(open, MostWait);
    }

    private static Task Preparing(ServingText text) => text.Constraint?.Prepare() ?? Task.CompletedTask;

    private static int[] Guess(ServingText text)
    {
        int room = Math.Min(text.Work.Room - text.Written - 1, PromptLookup.Most);
        return room < 1 ? [] : PromptLookup.Guess(text.Tokens, room);
    }

    // Takes the pages of a text's next tokens; beginnings that nobody uses, then the youngest texts make room.
    private bool TakePages(ServingText text, int count)
    {
        while (text.Pages.Count < KeyValuePages.PagesFor(text.Computed + count))
        {
            if (pages.TryTake(out int page))
            {
                text.Pages.Add(page);
                continue;
            }
            if (prefixes.Evict()) continue;
            ServingText youngest = running[^1];
            Interrupt(youngest);
            if (youngest == text) return false;
        }
        return true;
    }

    // The text waits again, first of all, and goes on later where it was: what it is, it keeps.
    private void Interrupt(ServingText text)
    {
        Release(text);
        running.Remove(text);
        waiting.AddFirst(text);
        WaitingTokens += text.Tokens.Count;
    }

    private void Compute(List<(ServingText Text, int Count)> plan)
    {
        Steps++;
        // Rows with the same adapters side by side, the base alone first.
        plan = [.. plan.OrderBy(one => one.Text.Work.Adapters.Content, StringComparer.Ordinal)];
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var batch = new PagedTokens([.. plan.Select(one =>
            new PagedSequence(Tokens(one.Text, one.Count), one.Text.Computed, one.Text.Pages))]);
        rows.Segments = AdapterRows.Of(
            plan.SelectMany(one => Enumerable.Repeat(one.Text.Work.Adapters.Mix, one.Count)));
        // Layers go by row only where a row has adapters.
        using Ending? used = plan.Exists(one => one.Text.Work.Adapters.Mix is not null) ? UseRows() : null;
        Tensor hidden = model.Hidden(batch, pages);
        foreach (List<LogitRows> some in LogitRows.Parts(plan, options.MostLogits / model.VocabularySize))
        {
            Logits(hidden, some);
            int row = 0;
            foreach (LogitRows one in some)
            {
                Memory<float> own = logits.AsMemory(row * model.VocabularySize, one.Count * model.VocabularySize);
                row += one.Count;
                try
                {
                    if (!running.Contains(one.Text)) continue; // failed in an earlier part
                    if (one.IsLast) Advance(one.Text, one.Place, own);
                    else ScorePrompt(one.Text, one.Text.Computed + one.Place, own.Span);
                }
                catch (Exception failure) when (running.Contains(one.Text)) // the step's other texts go on
                {
                    Fail(one.Text, failure);
                }
            }
        }
    }

    // The text's tokens are computed, with the logits that the next ones are chosen from.
    private void Advance(ServingText text, int before, Memory<float> logits)
    {
        int chosen = logits.Length / model.VocabularySize, count = before + chosen,
            promptRead = Math.Clamp(text.Work.Request.Prompt.Count - text.Computed, 0, count);
        PromptTokens += promptRead;
        if (promptRead > 0) metrics.Read(promptRead);
        text.Computed += count;
        if (chosen > 0) Write(text, logits);
        else Share(text);
    }

    private static int[] Tokens(ServingText text, int count) =>
        [.. text.Tokens.Skip(text.Computed).Concat(text.Guessed).Take(count)];

    private void Logits(Tensor hidden, List<LogitRows> needed)
    {
        long[] chosen =
            [.. needed.SelectMany(one => Enumerable.Range(one.First, one.Count)).Select(row => (long)row)];
        if (chosen.Length == 0) return;
        rows.Segments = AdapterRows.Of(
            needed.SelectMany(one => Enumerable.Repeat(one.Text.Work.Adapters.Mix, one.Count)));
        using var scope = NewDisposeScope();
        Tensor states = chosen.Length == hidden.shape[0] ? hidden
            : hidden.index_select(0, tensor(chosen, device: model.Device));
        Tensor found = model.Logits(states).to(ScalarType.Float32).cpu().contiguous();
        // One block for all steps: new ones of this size would make the garbage collector walk the whole heap.
        if (found.numel() > logits.Length) logits = new float[found.numel()];
        found.data<float>().CopyTo(logits);
    }

    private Ending UseRows()
    {
        foreach (AdapterSlot slot in Slots) slot.Rows = rows;
        return new Ending(() =>
        {
            foreach (AdapterSlot slot in Slots) slot.Rows = null;
        });
    }

    private AdapterSlot[] Slots => field ??= [.. Adapters.AdaptableLayer.All(model).Select(layer => layer.Slot)];

    // Chooses the next token, and the one after each guess that was right.
    private void Write(ServingText text, Memory<float> logits)
    {
        int guesses = text.Guessed.Length;
        for (int i = 0; i <= guesses; i++)
        {
            Span<float> row = logits.Span.Slice(i * model.VocabularySize, model.VocabularySize);
            int? chosen = text.Sampler.Choose(
                row, text.Constraint is null ? [] : text.Constraint.Allowed, workspace);
            if (chosen is not { } token)
            {
                Fail(text, new NonFiniteException(
                    "The model gives no finite logits for this text, and no token can be chosen."));
                return;
            }
            NewTokens++;
            metrics.Wrote(text);
            text.Work.Output.CountNew();
            bool isStop = text.Work.Stops.Contains(token);
            ScoredToken? score = !isStop && text.Work.Request.LogProbs is { } n
                ? TokenScores.Of(row, token, n) : null;
            text.Tokens.Add(token);
            text.Computed = text.Tokens.Count - 1; // what was read beyond is read again
            if (!Continue(text, token, isStop, score)) return;
            if (i < guesses && (text.Guessed[i] != token || !Preparing(text).IsCompleted)) break;
        }
        text.Guessed = [];
        Share(text);
    }

    // Hands out what the token makes certain; whether the text goes on.
    private bool Continue(ServingText text, int token, bool isStop, ScoredToken? score)
    {
        if (text.PromptScores.Count > 0 && text.Written == 1)
            text.Work.Output.PromptTokens = [.. text.PromptScores];
        bool isAllowed = text.Constraint?.TryAdd(token) != false;
        if (isStop) return End(text, ServedEnd.Stop);
        if (!isAllowed) throw new InvalidOperationException($"The token {token} was chosen and may not follow.");
        foreach (ServedPiece piece in text.Show(token, score)) text.Work.Output.Write(piece);
        if (text.IsStopped || text.Constraint?.MustEnd == true) return End(text, ServedEnd.Stop);
        return text.Written < text.Work.Room || End(text, ServedEnd.Length);
    }

    private bool End(ServingText text, ServedEnd how)
    {
        ServedPiece last = text.ShowRest(how);
        Leave(text, last, last.End == ServedEnd.Stop ? "stop" : "length");
        return false;
    }

    private void ScorePrompt(ServingText text, int first, ReadOnlySpan<float> logits)
    {
        int n = text.Work.Request.LogProbs ?? 0;
        for (; !logits.IsEmpty; logits = logits[model.VocabularySize..])
        {
            int next = ++first;
            if (next == text.PromptScores.Count && next < text.Work.Request.Prompt.Count)
                text.PromptScores.Add(TokenScores.Of(logits[..model.VocabularySize], text.Tokens[next], n));
        }
    }

    // Gives the pages that are full to the texts that begin alike.
    private void Share(ServingText text)
    {
        for (int at = text.Shared.Count; (at + 1) * KeyValuePages.PageLength <= text.Computed; at++)
        {
            PrefixPage before = at > 0 ? text.Shared[at - 1] : prefixes.Root(text.Work.Adapters.Content);
            int[] tokens = [.. text.Tokens.Skip(at * KeyValuePages.PageLength).Take(KeyValuePages.PageLength)];
            PrefixPage shared = prefixes.Add(before, tokens, text.Pages[at]);
            text.Pages[at] = shared.Page;
            text.Shared.Add(shared);
        }
    }

    private void Release(ServingText text)
    {
        for (int i = text.Shared.Count; i < text.Pages.Count; i++) pages.Return(text.Pages[i]);
        for (int i = text.Shared.Count - 1; i >= 0; i--) prefixes.Release(text.Shared[i]);
        text.Pages.Clear();
        text.Shared.Clear();
        text.Guessed = [];
        text.Computed = 0;
    }

    private void Leave(ServingText text, ServedPiece? last, string how)
    {
        if (last is not null) Share(text);
        Release(text);
        if (!running.Remove(text))
        {
            waiting.Remove(text);
            WaitingTokens -= text.Tokens.Count;
        }
        text.Work.Open--;
        metrics.Ended(text, how);
        if (last is not null) text.Work.Output.Write(last);
        ended(text);
    }

    private void Fail(ServingText text, Exception failure)
    {
        text.Work.Output.Complete(failure);
        text.Work.Output.Leave(); // the request's other texts end, too
        Leave(text, null, "error");
    }

    private sealed class Ending(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
