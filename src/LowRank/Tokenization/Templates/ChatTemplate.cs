using System.Text.Json.Nodes;
using LowRank.Tokenization.Templates.Nodes;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Syntax;

namespace LowRank.Tokenization.Templates;

/// <summary>
/// A chat template as models ship it (<c>chat_template.jinja</c>, or <c>chat_template</c> of <c>tokenizer_config.json</c>):
/// turns a conversation into text. The language is Jinja as transformers 5.12 runs it: jinja2's immutable sandbox with
/// <c>trim_blocks</c> and <c>lstrip_blocks</c>, the loop controls, <c>tojson</c> without HTML escapes,
/// <c>raise_exception</c>, <c>strftime_now</c> and the <c>generation</c> block. Nothing of .NET is reachable from a
/// template, and what it may cost is bounded by <see cref="ChatTemplateLimits"/>. A parsed template never changes: it may be
/// rendered by several threads at once.
/// </summary>
public sealed class ChatTemplate
{
    private readonly TemplateBody _body;
    private readonly ChatTemplateLimits _limits;

    private ChatTemplate(string source, TemplateBody body, ChatTemplateLimits limits)
    {
        Source = source;
        _body = body;
        _limits = limits;
    }

    /// <summary>The template's source as it was given.</summary>
    public string Source { get; }

    /// <summary>Whether the template marks the assistant's words by <c>{% generation %}</c> blocks.</summary>
    public bool HasGenerationBlocks => _body.HasGenerationBlocks;

    /// <summary>Parses a template.</summary>
    /// <param name="source">The template.</param>
    /// <param name="limits">What a rendering may cost; the defaults of <see cref="ChatTemplateLimits"/> if null.</param>
    /// <exception cref="InputException">
    /// The template is no valid Jinja, or uses what is not supported; the message names the construct and its line.
    /// </exception>
    public static ChatTemplate Parse(string source, ChatTemplateLimits? limits = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        limits ??= new ChatTemplateLimits();
        try
        {
            return new ChatTemplate(source, TemplateParser.Parse(source, limits), limits);
        }
        catch (TemplateFault fault)
        {
            throw new InputException($"The chat template cannot be used: line {fault.Line}: {fault.Message}.", fault);
        }
    }

    /// <summary>Renders a conversation.</summary>
    /// <param name="variables">
    /// The template's variables: usually <c>messages</c>, <c>tools</c>, <c>documents</c>, <c>add_generation_prompt</c>,
    /// <c>bos_token</c>, <c>eos_token</c>. The order of keys is kept, and numbers written with a point or an exponent are
    /// floats, all others integers, as Python reads JSON. A variable given as null is <c>none</c>; one not given is undefined.
    /// </param>
    /// <param name="clock">The clock of <c>strftime_now</c>, read in its local time zone; the system's if null.</param>
    /// <exception cref="InputException">
    /// The template refuses the conversation (<c>raise_exception</c>), does what Jinja refuses (such as to use what is not
    /// defined), or goes beyond a limit; the message names the line.
    /// </exception>
    public RenderedTemplate Render(JsonObject variables, TimeProvider? clock = null)
    {
        ArgumentNullException.ThrowIfNull(variables);
        var renderer = new Renderer(_limits, clock ?? TimeProvider.System);
        try
        {
            return renderer.Run(_body, variables);
        }
        catch (TemplateFault fault)
        {
            throw new InputException(
                $"The chat template failed at line {fault.Line ?? renderer.Budget.Line}: {fault.Message}.", fault);
        }
    }
}
