using System.Text.Json.Nodes;

namespace LowRank.Jinja;

/// <summary>
/// A parsed Jinja template: a model's chat template (<c>chat_template.jinja</c>, or <c>chat_template</c> of
/// <c>tokenizer_config.json</c>) or any other text with <c>{{ }}</c> and <c>{% %}</c>. The language is Jinja as
/// transformers 5.12 runs it: jinja2's immutable sandbox with <c>trim_blocks</c> and <c>lstrip_blocks</c>, the loop
/// controls, <c>tojson</c> without HTML escapes, <c>raise_exception</c>, <c>strftime_now</c> and the <c>generation</c>
/// block. A template cannot reach anything in .NET, and <see cref="JinjaLimits"/> limits its cost. A parsed template is
/// immutable, so several threads may render it at once. </summary>
public sealed class JinjaTemplate
{
    private const string ChatMlSource = """
        {%- for message in messages -%}
            {{- '<|im_start|>' + message['role'] + '\n' -}}
            {%- if message['role'] == 'assistant' -%}
                {%- generation -%}
                    {{- message['content'] + '<|im_end|>' -}}
                {%- endgeneration -%}
                {{- '\n' -}}
            {%- else -%}
                {{- message['content'] + '<|im_end|>\n' -}}
            {%- endif -%}
        {%- endfor -%}
        {%- if add_generation_prompt -%}
            {{- '<|im_start|>assistant\n' -}}
        {%- endif -%}
        """;

    private readonly TemplateBody _body;
    private readonly JinjaLimits _limits;

    private JinjaTemplate(string source, TemplateBody body, JinjaLimits limits)
    {
        Source = source;
        _body = body;
        _limits = limits;
    }

    /// <summary>
    /// ChatML, a format for models without a template: every message is
    /// <c>&lt;|im_start|&gt;role\ncontent&lt;|im_end|&gt;\n</c>, and if <c>add_generation_prompt</c> is true,
    /// <c>&lt;|im_start|&gt;assistant\n</c> follows. The assistant's words are marked together with their
    /// <c>&lt;|im_end|&gt;</c>, so a model trained on them learns to stop. </summary>
    public static JinjaTemplate ChatMl { get; } = Parse(ChatMlSource);

    /// <summary>The template's source, unchanged.</summary>
    public string Source { get; }

    /// <summary>Whether the template marks the assistant's words with <c>{% generation %}</c> blocks.</summary>
    public bool HasGenerationBlocks => _body.HasGenerationBlocks;

    /// <summary>The names that the template reads: the variables that can change what it renders, together with those
    /// that it sets itself. Functions that every template can call are not among them.</summary>
    public IReadOnlySet<string> Names => _body.Names;

    /// <summary>Parses a template.</summary>
    /// <param name="source">The template.</param>
    /// <param name="limits">The limits of a rendering; the defaults of <see cref="JinjaLimits"/> if null.</param>
    /// <exception cref="TemplateException">
    /// The template is not valid Jinja or uses an unsupported construct, which the message names. </exception>
    public static JinjaTemplate Parse(string source, JinjaLimits? limits = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        limits ??= new JinjaLimits();
        return new JinjaTemplate(source, TemplateParser.Parse(source, limits), limits);
    }

    /// <summary>Renders the template.</summary>
    /// <param name="variables">
    /// The template's variables; for a chat template usually <c>messages</c>, <c>tools</c>, <c>documents</c>,
    /// <c>add_generation_prompt</c>, <c>bos_token</c>, <c>eos_token</c>. The order of keys is kept, and numbers written
    /// with a point or an exponent are floats, all others integers, as Python reads JSON. A variable given as null is
    /// <c>none</c>; one not given is undefined.
    /// </param>
    /// <param name="clock">The clock of <c>strftime_now</c>, read in its local time zone; the system's if null.</param>
    /// <exception cref="TemplateException">
    /// The template refuses its variables (<c>raise_exception</c>), does something that Jinja refuses (such as using an
    /// undefined value), or exceeds a limit. </exception>
    public RenderedTemplate Render(JsonObject variables, TimeProvider? clock = null)
    {
        ArgumentNullException.ThrowIfNull(variables);
        var renderer = new Renderer(_limits, clock ?? TimeProvider.System);
        try
        {
            return renderer.Run(_body, variables);
        }
        catch (TemplateException fault) when (fault.Line is null)
        {
            throw new TemplateException(fault.Reason, renderer.Budget.Line, fault);
        }
    }
}

/// <summary>The result of rendering a template.</summary>
/// <param name="Text">The text; special tokens of a chat template are spelled out.</param>
/// <param name="GenerationSpans">
/// The spans written by the template's <c>{% generation %}</c> blocks, in text order: start and length in UTF-16
/// characters of <paramref name="Text"/>. Empty if the template has no such block. </param>
public sealed record RenderedTemplate(string Text, IReadOnlyList<(int Start, int Length)> GenerationSpans)
{
    /// <summary>
    /// False if text of a <c>{% generation %}</c> block went through an expression (a filter, a concatenation) before
    /// it was written: its position in <see cref="Text"/> is then unknown, and <see cref="GenerationSpans"/> lacks it.
    /// Code that trains on the spans must refuse such a template. Default true. </summary>
    public bool GenerationSpansComplete { get; init; } = true;
}

/// <summary>
/// Limits on the cost of a template. Chat templates come with models that others made, so they are not trusted:
/// exceeding a limit ends the rendering with a <see cref="TemplateException"/> that names the limit and the line.
/// </summary>
public sealed record JinjaLimits
{
    /// <summary>
    /// The maximum number of steps. A step is one evaluated expression, one executed statement, one item taken from a
    /// list, or eight characters of text created or read. Default 5 000 000, about one second of work and a hundred
    /// times what a long conversation needs. </summary>
    public long MaximumSteps { get; init; } = 5_000_000;

    /// <summary>
    /// The maximum length, in UTF-16 characters, of the result and of every intermediate text. Default 8 388 608.
    /// </summary>
    public int MaximumLength { get; init; } = 8 * 1024 * 1024;

    /// <summary>The maximum nesting depth of parentheses, blocks, macro calls and nested values. Default 200.</summary>
    public int MaximumDepth { get; init; } = 200;
}
